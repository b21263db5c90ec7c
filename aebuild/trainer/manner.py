"""In which manner a training is run; nothing here changes what is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aebuild.trainer.execution import Execution


@dataclass(frozen=True)
class Manner:
    """What the command line asks of a training beside its spec.

    `execution` replaces the choice that `train.speed` asks for · `profile` is a number of steps to profile ·
    `save_every` is the number of batches between checkpoints, which are otherwise counted in seconds.
    """

    execution: Execution | None = None
    profile: int = 0
    save_every: int | None = None


PLAIN = Manner()
