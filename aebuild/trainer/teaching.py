"""Encoders of other runs, lent to the losses that learn from them while a model is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.lang.terms import Penalty

if TYPE_CHECKING:
    import torch

    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.job import Job


def teach(job: Job, model: Autoencoder, device: torch.device) -> None:
    """Gives losses the encoders that they want."""
    for name, module in model.penalties.items():
        config = job.plan.spec.losses.terms[name]
        if isinstance(config, Penalty) and config.teacher is not None and job.teachers is not None:
            module.teacher = job.teachers(job, Path(config.teacher), device)


def untaught(model: Autoencoder) -> None:
    """Takes them back."""
    for module in dict(model.penalties.items()).values():
        if getattr(module, "teacher", None) is not None:
            module.teacher = None
