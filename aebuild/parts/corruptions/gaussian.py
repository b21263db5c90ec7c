"""Gaussian noise on the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from aebuild.lang.families import Corruption
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


def _in_order(clip: list[float]) -> list[float]:
    if clip[0] >= clip[1]:
        raise ValueError("the first bound must be smaller than the second")
    return clip


Interval = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_in_order)]


class Gaussian(Corruption):
    """Adds Gaussian noise to every element (Vincent et al., 2010)."""

    type: Literal["gaussian"] = "gaussian"
    example = "corrupt: [gaussian: {std: 0.5, clip: [0, 1]}]"
    also = ("noise", "gaussian_noise", "normal", "awgn")
    std: float = knob(..., "standard deviation, in the scale of the data", examples=[0.3], affects="data", gt=0)
    clip: Interval | None = knob(None, "bounds to clamp to after the noise, [low, high]", affects="data")

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        from aebuild.modules.corruptions import GaussianNoise

        return GaussianNoise(self.std, None if self.clip is None else (self.clip[0], self.clip[1]))
