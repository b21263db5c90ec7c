"""One layer after the other."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.part import knob
from aebuild.lang.training import PhasePart


class Greedy(PhasePart):
    """Trains pairs of layers from the outside in, each for `epochs`, the outer ones frozen (Bengio et al., 2007)."""

    type: Literal["greedy"] = "greedy"
    example = ("encoder: [linear: 8, linear: 6]\n"
               "train: {batch_size: 25, phases: [greedy: {epochs: 2, batch_size: 20, clip: 0.4}, greedy: {steps: 3, "
               "rates: {encoder.0: 0.5}}, main: {epochs: 1}]}\n"
               "---\n"
               "data: {type: wine, limit: 50}\n"
               "train: {epochs: 8, batch_size: 20, optimizer: {lr: 0.3}, phases: [greedy: {patience: 1}, main: {epochs: 1}]}")
    also = ("layerwise", "stacked", "pretrain", "pretraining")
    target: Literal["input", "code"] = knob(
        "input", "what a pair reproduces: the data, through the frozen outer layers, or the code it is given", affects="loss")

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """One for each pair."""
        return [(f"greedy.{i}", (i, self.target)) for i in range(depth)]
