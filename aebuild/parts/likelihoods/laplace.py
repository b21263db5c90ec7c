"""A Laplace likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import nn


class Laplace(Scaled):
    """Negative log-density of a Laplace distribution around the reconstruction, which outliers move little.

    It is the absolute error in units of the scale, with all constants. The scale is a number, one learned number, one learned for each
    element of a sample, or predicted by the decoder for each element.
    """

    type: Literal["laplace"] = "laplace"
    example = "losses: {reconstruction: {type: laplace, scale: 0.5, weight: 0.1}}"
    draws = True
    unit = "nats of negative log-density (which may be below 0)"
    also = ("laplacian", "laplace_nll", "double_exponential")
    floorless = True
    scale: Scale = knob(
        1.0, "a number; learned: one for all; per_dim: one for each element; predicted: by the decoder", affects="loss")

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.scaled_likelihoods import Laplace as LaplaceModule

        return LaplaceModule(self.argument(target), target.feature_axis)
