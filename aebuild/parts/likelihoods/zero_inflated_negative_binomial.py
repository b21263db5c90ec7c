"""A zero-inflated negative binomial likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.counts import LIBRARY, CountLikelihood, Library
from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class ZeroInflatedNegativeBinomial(Scaled, CountLikelihood):
    """Surprise at counts of which some are 0 for another reason than chance, the drop-out of a measurement.

    A negative binomial likelihood with a probability, predicted for each element of each sample, that a count is 0 whatever its mean is
    (scVI, Lopez et al., 2018). All else is as in `negative_binomial`. The reconstruction is the mean with the drop-outs.
    """

    type: Literal["zero_inflated_negative_binomial"] = "zero_inflated_negative_binomial"
    example = ("data: {type: counts, cells: 40, genes: 6}\n"
               "losses: {reconstruction: {type: zero_inflated_negative_binomial, dispersion: 2, weight: 0.5}}")
    unit = "nats of surprise at its counts"
    also = ("zinb", "zero_inflated_nb", "scvi")
    number = "dispersion"
    weight_name = "dispersion.log"
    dispersion: Scale = knob(
        "per_dim", "inverse dispersion θ: a number; learned: one for all; per_dim: one for each element; predicted: by the decoder",
        affects="loss")
    library: Library = knob("observed", LIBRARY, affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A log-rate and the logit of a drop-out for each element, and the logarithm of the dispersion where it is predicted."""
        self.check_counts(bounds)
        shape = self.learned(target)
        weights = {} if shape is None else {self.weight_name: shape}
        return OutputPlan(3 if self.size == "predicted" else 2, elements(target), weights=weights,
                          buffers=self.buffers(totals=self.library == "observed"))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.count_likelihoods import ZeroInflated

        return ZeroInflated(self.argument(target), target.feature_axis, totals=self.library == "observed")
