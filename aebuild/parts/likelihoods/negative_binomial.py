"""A negative binomial likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.counts import LIBRARY, CountLikelihood, Library
from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class NegativeBinomial(Scaled, CountLikelihood):
    """Surprise at counts that are more spread than chance has it: the variance is μ + μ² / θ.

    As scvi-tools has it (Lopez et al., 2018): the mean μ is a sample's total, its library size, times the share that a softmax gives each
    element (gene); θ is the inverse dispersion. It is a number, one learned number, one learned for each element, or predicted for each
    element of each sample. Where a code alone is decoded, the total is the mean of the training data.
    """

    type: Literal["negative_binomial"] = "negative_binomial"
    example = ("data: {type: counts, cells: 40, genes: 6}\n"
               "losses: {reconstruction: {type: negative_binomial, dispersion: 2, weight: 0.5}}")
    unit = "nats of surprise at its counts"
    also = ("nb", "neg_binomial", "negbinomial", "nbinom")
    number = "dispersion"
    weight_name = "dispersion.log"
    dispersion: Scale = knob(
        "per_dim", "inverse dispersion θ: a number; learned: one for all; per_dim: one for each element; predicted: by the decoder",
        affects="loss")
    library: Library = knob("observed", LIBRARY, affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A log-rate for each element, and the logarithm of the dispersion where it is predicted."""
        self.check_counts(bounds)
        shape = self.learned(target)
        weights = {} if shape is None else {self.weight_name: shape}
        return OutputPlan(2 if self.size == "predicted" else 1, elements(target), weights=weights,
                          buffers=self.buffers(totals=self.library == "observed"))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.count_likelihoods import NegativeBinomial as NegativeBinomialModule

        return NegativeBinomialModule(self.argument(target), target.feature_axis, totals=self.library == "observed")
