"""A Poisson likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.counts import LIBRARY, CountLikelihood, Library
from aebuild.lang.part import knob
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Poisson(CountLikelihood):
    """Surprise at counts that are as spread as chance has it: the variance is the mean.

    The output is the logarithm of the rate, or with `library: observed` of each element's share of the sample's total. Where a code alone
    is decoded, the total is the mean of the training data.
    """

    type: Literal["poisson"] = "poisson"
    example = ("data: {type: counts, cells: 40, genes: 6}\n"
               "losses: {reconstruction: {type: poisson, weight: 0.5}}")
    unit = "nats of surprise at its counts"
    remembers = 2
    also = ("poisson_nll", "counts")
    library: Library = knob("decoded", LIBRARY, affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A log-rate for each element."""
        self.check_counts(bounds)
        return OutputPlan(1, elements(target), buffers=self.buffers(totals=self.library == "observed"))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.count_likelihoods import Poisson as PoissonModule

        return PoissonModule(totals=self.library == "observed", axis=target.feature_axis)
