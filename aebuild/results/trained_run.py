"""A trained model and what belongs to it, from its run directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.samples import DataInfo
    from aebuild.lang.splits import Scaling
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.run_dir.run import Run


@dataclass(frozen=True)
class TrainedRun:
    """A trained model with its plan, data description and scaling.

    `kept` names the checkpoint the weights are from; `notes` say which better ones were damaged, and which plug-ins have changed.
    """

    run: Run
    plan: Plan
    model: Autoencoder
    info: DataInfo
    scaling: Scaling
    target_scaling: Scaling | None
    kept: str
    notes: tuple[str, ...] = ()
