"""What one training works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aebuild.trainer.distributed.process_group import ALONE, Group
from aebuild.trainer.manner import PLAIN, Manner
from aebuild.trainer.profiling.timers import Account
from aebuild.trainer.progress.display import Display, Quiet
from aebuild.trainer.signals import Signals

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Splits
    from aebuild.trainer.run_dir.run import Run


@dataclass(frozen=True)
class Job:
    """A plan, its data, and the run directory that takes everything; by itself it is done quietly, in this process alone.

    `account` is charged with the time, `signals` is entered where the training begins if it is not yet, `group` are the
    processes that train together, `afterwards` how many samples will pass the model in the evaluation.
    """

    plan: Plan
    splits: Splits
    run: Run
    display: Display = field(default_factory=Quiet)
    account: Account = field(default_factory=Account)
    manner: Manner = PLAIN
    signals: Signals = field(default_factory=Signals)
    group: Group = ALONE
    afterwards: int = 0
