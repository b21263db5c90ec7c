"""Layers made of other layers."""

from aebuild.lang.families import Layer, mirror_steps
from aebuild.lang.node import Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value


class Nested(Layer):
    """A step that holds steps of its own."""

    scalar = "steps"

    steps: list[Layer] = knob(..., "the steps inside, in order", affects="graph", min_length=1)

    @property
    def first(self) -> Layer:
        """The first step that is more than a norm or an activation, which take everything."""
        return next((step for step in self.steps if not step.follower), self.steps[0])

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """What the first layer takes."""
        return self.first.kinds(value, site)

    def mirrored(self) -> Layer | None:
        """The same with its steps mirrored; where norms and activations come first, each stays before its layer."""
        return self.but(steps=mirror_steps(self.steps, before=self.steps[0].follower))

    def widened(self, factor: float) -> Layer:
        """The same with each step widened."""
        return self.but(steps=[step.widened(factor) for step in self.steps])

    def resizes(self, rank: int) -> list[Resize]:
        """What the steps do, in order."""
        return [resize for step in self.steps for resize in step.resizes(rank)]

    @property
    def seed_features(self) -> int | None:
        """What the first layer asks for."""
        return self.first.seed_features
