"""Where a training stands: all that a checkpoint needs beside tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass
class Best:
    """The best validation score of the phase that runs, and where it was reached."""

    score: float
    epoch: int
    step: int


@dataclass
class Progress:
    """Phase, batches done in it and in the whole run, forward passes done, and seconds spent.

    Epoch and place in the epoch follow from `step`; random numbers follow from `tick`.
    """

    phase: int = 0
    step: int = 0
    total: int = 0
    tick: int = 0
    seconds: float = 0.0
    best: Best | None = None

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """The progress of a checkpoint."""
        best = state["best"]
        return cls(**{**state, "best": Best(**best) if best is not None else None})
