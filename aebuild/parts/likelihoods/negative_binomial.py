"""A negative binomial likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.counts import DispersedCounts
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import nn


class NegativeBinomial(DispersedCounts):
    """Surprise at counts that are more spread than chance has it: the variance is μ + μ² / θ.

    As scvi-tools has it (Lopez et al., 2018): the mean μ is a sample's total, its library size, times the share that a softmax gives each
    element (gene); θ is the inverse dispersion. It is a number, one learned number, one learned for each element, or predicted for each
    element of each sample. Where a code alone is decoded, the total is the mean of the training data.
    """

    type: Literal["negative_binomial"] = "negative_binomial"
    example = ("data: {type: counts, cells: 40, genes: 6}\n"
               "losses: {reconstruction: {type: negative_binomial, dispersion: 2, weight: 0.5}}")
    unit = "nats of surprise at its counts"
    remembers = 12
    also = ("nb", "neg_binomial", "negbinomial", "nbinom")

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.count_likelihoods import NegativeBinomial as NegativeBinomialModule

        return NegativeBinomialModule(self.argument(target), target.feature_axis, totals=self.library == "observed")
