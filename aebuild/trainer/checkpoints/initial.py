"""Weights of another run to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.trainer.checkpoints.checkpoint import read_training
from aebuild.trainer.distributed.fsdp import put
from aebuild.trainer.players import under
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from torch import nn

    from aebuild.lang.training import Start

NOTHING_FITS = Rule("AE520", "a run whose weights fit nowhere", """\
A phase with `start` begins with the kept weights of another run, wherever a tensor has the same path and shape. If none has, the run is
of a model that is different all over: look at its `plan.json`, or name another run. Where `parts` are named, all of their tensors must fit.

```yaml
train: {phases: [main: {start: runs/of_another_design}]}
```
```yaml
train: {phases: [main: {start: runs/of_the_same_design}]}
```
""")


def take_weights(model: nn.Module, start: Start, device: torch.device) -> str:
    """Puts a run's kept tensors into the model where paths and shapes agree; what was done, in words.

    CheckpointError if none does, or if `start` names parts in which not all do.
    """
    run = Run.open(Path(start.run))
    loaded = run.checkpoints.load("best", "step", read=read_training)
    own = model.state_dict()
    wanted = {name for name in own if not start.parts or under(name, start.parts)}
    fitting = {name: tensor for name, tensor in loaded.checkpoint.model.items() if name in wanted and own[name].shape == tensor.shape}
    missing = sorted(wanted - fitting.keys()) if start.parts else []
    if missing or not fitting:
        told = f"no tensor of `{loaded.name}` in {start.run} has a path and shape of this model" if not fitting else \
            f"`{loaded.name}` in {start.run} has no {missing[0]} of this model's shape {tuple(own[missing[0]].shape)}"
        raise CheckpointError(Diagnostic(NOTHING_FITS, told, fix=Hint("name the run of a model that shares layers with this one")))
    put(model, {**own, **fitting})
    return f"began with {len(fitting)} of {len(own)} tensors of `{loaded.name}` in {start.run}"
