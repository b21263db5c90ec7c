"""A Gaussian likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import nn


class Gaussian(Scaled):
    """Negative log-density of a Gaussian around the reconstruction, with all constants.

    The variance is a number, one learned number (σ-VAE, Rybkin et al., 2021), one learned for each element of a sample, or
    predicted by the decoder for each element.
    """

    type: Literal["gaussian"] = "gaussian"
    example = "losses: {reconstruction: {type: gaussian, variance: 0.5, weight: 0.1}}"
    draws = True
    unit = "nats of negative log-density (which may be below 0)"
    remembers = 2
    also = ("normal", "gaussian_nll")
    number = "variance"
    weight_name = "log_variance"
    floorless = True
    variance: Scale = knob(
        1.0, "a number; learned: one for all; per_dim: one for each element; predicted: by the decoder", affects="loss")

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.likelihoods import FixedGaussian, LearnedGaussian, PredictedGaussian

        if self.variance == "predicted":
            return PredictedGaussian(target.feature_axis)
        if isinstance(self.variance, str):
            return LearnedGaussian(target.shape if self.variance == "per_dim" else ())
        return FixedGaussian(self.variance)
