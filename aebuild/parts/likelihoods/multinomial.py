"""A multinomial likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.counts import CountLikelihood
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Multinomial(CountLikelihood):
    """Surprise at which elements a sample's counts fall on, given how many they are: clicks, words, purchases.

    The output is a logit for each element (Mult-VAE for collaborative filtering, Liang et al., 2018). The reconstruction is the sample's
    total times the probability of each element; where a code alone is decoded, the total is the mean of the training data.
    """

    type: Literal["multinomial"] = "multinomial"
    example = ("data: {type: counts, cells: 40, genes: 6}\n"
               "losses: {reconstruction: {type: multinomial, weight: 0.5}}")
    elementwise = False
    unit = "nats of surprise at its counts"
    remembers = 3
    also = ("mult", "multvae", "mult_vae", "softmax_counts")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A logit for each element."""
        self.check_counts(bounds)
        return OutputPlan(1, elements(target), buffers=self.buffers(totals=True))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.count_likelihoods import Multinomial as MultinomialModule

        return MultinomialModule()
