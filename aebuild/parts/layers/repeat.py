"""The same steps several times."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from aebuild.lang.container import Nested
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.norm_act import sequential
from aebuild.lang.part import knob
from aebuild.lang.values import Value


class Repeat(Nested):
    """The same steps several times, each time with weights of their own."""

    type: Literal["repeat"] = "repeat"
    keeps_lengths = True
    example = "encoder: [linear: 8, repeat: {times: 2, steps: [linear: 8]}]"
    times: int = knob(..., "how often", examples=[2], affects="graph", ge=1)

    def plan(self, value: Value, site: Site) -> Node:
        """The steps in order, `times` times."""
        rounds = []
        current = value
        for i in range(self.times):
            inner = site.at(str(i), final=site.final and i == self.times - 1)
            nodes, after = site.chain(self.steps, current, inner)
            rounds.append(sequential(inner.path, "round", current, nodes, self))
            current = after
        return replace(sequential(site.path, "repeat", value, rounds, self), output=current)

    def resizes(self, rank: int) -> list[Resize]:
        """What the steps do, `times` times."""
        return super().resizes(rank) * self.times
