"""One layer after the other."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.part import knob
from aebuild.lang.training import PhasePart


class Greedy(PhasePart):
    """Trains pairs of layers from the outside in, each for `epochs`, the outer ones frozen (Bengio et al., 2007)."""

    type: Literal["greedy"] = "greedy"
    also = ("layerwise", "stacked", "pretrain", "pretraining")
    target: Literal["input", "code"] = knob(
        "input", "what a pair reproduces: the data, through the frozen outer layers, or the code it is given", affects="loss")

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """One for each pair."""
        return [(f"greedy.{i}", (i, self.target)) for i in range(depth)]
