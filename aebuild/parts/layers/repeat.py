"""The same steps several times."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from aebuild.lang.container import Nested
from aebuild.lang.families import Layer
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

    @property
    def entrance(self) -> Layer:
        """The first step."""
        return self.steps[0].entrance

    @property
    def exit(self) -> Layer:
        """The last step."""
        return self.steps[-1].exit

    def plan(self, value: Value, site: Site) -> Node:
        """The steps in order, `times` times."""
        rounds = []
        current = value
        for i in range(self.times):
            inner = site.at(str(i), final=site.final and i == self.times - 1)
            before = site.between[0] if i == 0 else self
            behind = site.between[1] if i == self.times - 1 else self
            nodes, after = site.chain(self.steps, current, inner, before=before, behind=behind)
            rounds.append(sequential(inner.path, "round", current, nodes, self))
            current = after
        return replace(sequential(site.path, "repeat", value, rounds, self), output=current)

    def mirrored(self) -> Layer | None:
        """The same with its steps mirrored; what stood between two rounds stands between them again."""
        made = super().mirrored()
        if self.times == 1 or not isinstance(made, Repeat):
            return made
        return made.but(steps=[*made.steps[:-1], made.steps[-1].mirrored_before(self.steps[-1])])

    def mirrored_before(self, behind: Layer | None) -> Layer:
        """With a single round, as its last step has it."""
        return self if self.times > 1 else self.but(steps=[*self.steps[:-1], self.steps[-1].mirrored_before(behind)])

    def resizes(self, rank: int) -> list[Resize]:
        """What the steps do, `times` times."""
        return super().resizes(rank) * self.times
