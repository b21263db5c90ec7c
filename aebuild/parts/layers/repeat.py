"""The same steps several times."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from aebuild.lang.dressed import sequential
from aebuild.lang.families import Layer, mirror_steps
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value


class Repeat(Layer):
    """The same steps several times, each time with weights of their own."""

    type: Literal["repeat"] = "repeat"
    times: int = knob(..., "how often", affects="graph", ge=1)
    steps: list[Layer] = knob(..., "the steps", affects="graph", min_length=1)

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

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """What the first step takes."""
        return self.steps[0].kinds(value, site)

    def mirrored(self) -> Layer | None:
        """The mirrored steps, as often."""
        return self.but(steps=mirror_steps(self.steps))

    def widened(self, factor: float) -> Layer:
        """Each step widened."""
        return self.but(steps=[step.widened(factor) for step in self.steps])

    def resizes(self, rank: int) -> list[Resize]:
        """What the steps do, `times` times."""
        return [resize for step in self.steps for resize in step.resizes(rank)] * self.times

    @property
    def seed_features(self) -> int | None:
        """What the first step asks for."""
        return self.steps[0].seed_features
