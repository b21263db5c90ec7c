"""What a model begins with: weights of another run, and what no gradient finds in the training data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from aebuild.lang.counts import UNCOUNTED
from aebuild.lang.diagnostics import CheckpointError, DataError, Diagnostic, Hint, Rule
from aebuild.lang.program_files import NO_PROGRAM
from aebuild.modules.likelihoods import Likelihood
from aebuild.modules.losses import Loss
from aebuild.trainer.checkpoints.checkpoint import read_training
from aebuild.trainer.distributed.fsdp import put
from aebuild.trainer.players import under
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from torch import nn

    from aebuild.compile.plan import Plan
    from aebuild.lang.training import Start
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.batches.loader import SplitLoader

FEW = 2                 # that a penalty tries
SAMPLES = 4096          # evenly spaced, that a likelihood sees

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


def check_losses(plan: Plan, model: Autoencoder, loader: SplitLoader) -> None:
    """Lets penalties try a few samples; DataError at the one that cannot judge them."""
    for name, penalty in dict(model.penalties.items()).items():
        if type(penalty).ready is not Loss.ready:
            try:
                penalty.ready(loader.slice(0, FEW).target)
            except ValueError as error:
                raise DataError(Diagnostic(NO_PROGRAM, str(error), plan.spec.losses.terms[name].place("path"), None,
                                           f"losses.{name}")) from error


@torch.no_grad()
def learn_beforehand(plan: Plan, likelihood: Likelihood, loader: SplitLoader) -> None:
    """Lets the likelihood see training data, if it wants any, the same on each process; DataError for what it cannot judge."""
    if type(likelihood).learn is Likelihood.learn:
        return
    rows = torch.linspace(0, loader.samples - 1, min(SAMPLES, loader.samples)).round().long()
    target = loader.take(rows.to(loader.device) if loader.resident else rows).target
    try:
        likelihood.learn(target)
    except ValueError as error:
        raise DataError(Diagnostic(UNCOUNTED, str(error), plan.spec.losses.place("reconstruction"), "reconstruction: gaussian",
                                   "losses.reconstruction")) from error
