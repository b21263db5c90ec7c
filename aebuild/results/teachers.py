"""Runs whose encoders teach the one that is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.modules.distillation import settled_value
from aebuild.results.open_run import open_run

if TYPE_CHECKING:
    from aebuild.modules.distillation import Teacher
    from aebuild.trainer.job import Job

OTHER_CODES = Rule("AE386", "a teacher of other data or codes", """\
Distillation compares the codes of two encoders sample by sample, so both must read data of the same type, scaled alike, and give codes of
the same type.

```console
$ aebuild train light.yaml                               # `latent: {dim: 8}`, but the teacher's has dim: 16: refused
$ aebuild train light.yaml --set latent.dim=16
```
""")


def teacher_of(job: Job, folder: Path, device: torch.device) -> Teacher:
    """What the kept encoder of a run makes of samples, in evaluation mode; CheckpointError if it does not fit the job."""
    opened = open_run(folder)
    own, other = job.plan, opened.plan
    pairs = [("data", own.input, other.input), ("codes", own.latent.code, other.latent.code)]
    if job.group.first:
        pairs.append(("a scaling", job.run.data["scaling"], opened.run.data["scaling"]))
    for what, ours, theirs in pairs:
        if ours != theirs:
            raise CheckpointError(Diagnostic(OTHER_CODES, f"the teacher in {folder} has {what} of {theirs}, this model of {ours}",
                                             fix=Hint("a teacher with the same data and latent")))
    model = opened.model.to(device).eval().requires_grad_(False)

    def teach(x: Tensor, lengths: Tensor | None) -> Tensor:
        with torch.no_grad():
            return settled_value(model.encode(x, lengths))

    return teach
