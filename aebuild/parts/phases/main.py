"""The whole model, end to end."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.training import PhasePart


class Main(PhasePart):
    """Trains the whole model end to end."""

    type: Literal["main"] = "main"
    example = ("train: {phases: [main: {epochs: 1, batch_size: 10, clip: 0.3}, main: {steps: 3, rates: {encoder: 0.5}}]}\n"
               "---\n"
               "data: {type: wine, limit: 50}\n"
               "train: {epochs: 8, batch_size: 20, optimizer: {lr: 0.3}, phases: [main: {patience: 1}, main]}")
    also = ("train", "finetune", "fine_tune", "joint", "end_to_end")

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """One, over everything."""
        return [("main", None)]
