"""In which manner a training is run; nothing here changes what is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
