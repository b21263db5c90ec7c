"""A beta likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import nn


class Beta(Scaled):
    """Negative log-density of a beta distribution, for shares and rates in [0, 1].

    It has a mean, which is the reconstruction, and a concentration, the sum of its two exponents: the larger, the narrower (Ferrari and
    Cribari-Neto, 2004). Values are held 1/512 from 0 and 1, where the density may be infinite. The concentration is a number, one
    learned number, one learned for each element of a sample, or predicted by the decoder for each element.
    """

    type: Literal["beta"] = "beta"
    example = "losses: {reconstruction: {type: beta, concentration: 3, weight: 0.5}}"
    unit = "nats of negative log-density (which may be below 0)"
    remembers = 9
    also = ("beta_nll", "beta_distribution")
    support = (0.0, 1.0)
    number = "concentration"
    weight_name = "concentration.log"
    concentration: Scale = knob(
        "learned", "a number; learned: one for all; per_dim: one for each element; predicted: by the decoder", affects="loss")

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.unit_likelihoods import Beta as BetaModule

        return BetaModule(self.argument(target), target.feature_axis)
