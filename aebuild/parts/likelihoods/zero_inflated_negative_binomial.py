"""A zero-inflated negative binomial likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.counts import DispersedCounts
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import nn


class ZeroInflatedNegativeBinomial(DispersedCounts):
    """Surprise at counts of which some are 0 for another reason than chance, the drop-out of a measurement.

    A negative binomial likelihood with a probability, predicted for each element of each sample, that a count is 0 whatever its mean is
    (scVI, Lopez et al., 2018). All else is as in `negative_binomial`. The reconstruction is the mean with the drop-outs.
    """

    type: Literal["zero_inflated_negative_binomial"] = "zero_inflated_negative_binomial"
    example = ("data: {type: counts, cells: 40, genes: 6}\n"
               "losses: {reconstruction: {type: zero_inflated_negative_binomial, dispersion: 2, weight: 0.5}}")
    unit = "nats of surprise at its counts"
    remembers = 10
    also = ("zinb", "zero_inflated_nb", "scvi")
    parameters = 2

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.count_likelihoods import ZeroInflated

        return ZeroInflated(self.argument(target), target.feature_axis, totals=self.library == "observed")
