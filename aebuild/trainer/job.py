"""What one training works with, and what is asked of it beside its spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aebuild.trainer.distributed.process_group import ALONE, ProcessGroup
from aebuild.trainer.profiling.timers import Timers
from aebuild.trainer.progress.display import Display, Quiet
from aebuild.trainer.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Splits
    from aebuild.modules.distillation import Teacher
    from aebuild.trainer.run_dir.run import Run
    from aebuild.trainer.speed.execution import Execution


@dataclass(frozen=True)
class Manner:
    """What the command line asks of a training beside its spec.

    `execution` replaces the choice that `train.speed` asks for · `profile` is a number of steps to profile ·
    `save_every` is the number of batches between checkpoints, which are otherwise counted in seconds ·
    `devices` is how many processes there must be, None for as many as the launcher says · `shard` divides the weights.
    """

    execution: Execution | None = None
    profile: int = 0
    save_every: int | None = None
    devices: int | None = None
    shard: bool = False


PLAIN = Manner()


@dataclass(frozen=True)
class Job:
    """A plan, its data, and the run directory that takes everything; by itself it is done quietly, in this process alone.

    `timers` is charged with the time, `signals` is entered where the training begins if it is not yet, `group` are the
    processes that train together, `afterwards` how many samples will pass the model in the evaluation, `teachers` opens a run whose
    encoder teaches.
    """

    plan: Plan
    splits: Splits
    run: Run
    display: Display = field(default_factory=Quiet)
    timers: Timers = field(default_factory=Timers)
    manner: Manner = PLAIN
    signals: Signals = field(default_factory=Signals)
    group: ProcessGroup = ALONE
    afterwards: int = 0
    teachers: Callable[[Job, Path, torch.device], Teacher] | None = None
