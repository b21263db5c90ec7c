"""The whole model, end to end."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.training import PhasePart


class Main(PhasePart):
    """Trains the whole model end to end."""

    type: Literal["main"] = "main"
    also = ("train", "finetune", "fine_tune", "joint", "end_to_end")

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """One, over everything."""
        return [("main", None)]
