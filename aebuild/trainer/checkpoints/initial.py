"""Weights of another run to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.trainer.checkpoints.checkpoint import read_training
from aebuild.trainer.distributed.fsdp import put
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from torch import nn

NOTHING_FITS = Rule("AE520", "a run whose weights fit nowhere", """\
A phase with `start` begins with the kept weights of another run, wherever a tensor has the same path and shape. If none has, the run is
of a model that is different all over: look at its `plan.json`, or name another run.

```yaml
train: {phases: [main: {start: runs/of_another_design}]}
```
```yaml
train: {phases: [main: {start: runs/of_the_same_design}]}
```
""")


def take_weights(model: nn.Module, folder: Path, device: torch.device) -> str:
    """Puts a run's kept tensors into the model where paths and shapes agree; what was done, in words. CheckpointError if none does."""
    run = Run.open(folder)
    loaded = run.checkpoints.load("best", "step", read=read_training)
    own = model.state_dict()
    fitting = {name: tensor for name, tensor in loaded.checkpoint.model.items() if name in own and own[name].shape == tensor.shape}
    if not fitting:
        raise CheckpointError(Diagnostic(NOTHING_FITS, f"no tensor of `{loaded.name}` in {folder} has a path and shape of this model",
                                         fix=Hint("name the run of a model that shares layers with this one")))
    put(model, {**own, **fitting})
    return f"began with {len(fitting)} of {len(own)} tensors of `{loaded.name}` in {folder}"
