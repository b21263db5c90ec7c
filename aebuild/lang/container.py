"""Layers made of other layers."""

from aebuild.lang.families import Layer, mirror_steps
from aebuild.lang.node import Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value


class Nested(Layer):
    """A step that holds steps of its own."""

    scalar = "steps"

    steps: list[Layer] = knob(..., "the steps inside, in order", affects="graph", min_length=1)

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """What the first step takes."""
        return self.steps[0].kinds(value, site)

    def mirrored(self) -> Layer | None:
        """The same with its steps mirrored."""
        return self.but(steps=mirror_steps(self.steps))

    def widened(self, factor: float) -> Layer:
        """The same with each step widened."""
        return self.but(steps=[step.widened(factor) for step in self.steps])

    def resizes(self, rank: int) -> list[Resize]:
        """What the steps do, in order."""
        return [resize for step in self.steps for resize in step.resizes(rank)]

    @property
    def seed_features(self) -> int | None:
        """What the first step asks for."""
        return self.steps[0].seed_features
