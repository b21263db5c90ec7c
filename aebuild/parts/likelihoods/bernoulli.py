"""A Bernoulli likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Bernoulli(Likelihood):
    """Cross-entropy of targets in [0, 1]; the output is a logit, the reconstruction a probability."""

    type: Literal["bernoulli"] = "bernoulli"
    example = "losses: {reconstruction: {type: bernoulli, weight: 0.5}}"
    unit = "nats of cross-entropy"
    also = ("bce", "binary_crossentropy", "binary_cross_entropy", "bce_with_logits", "logistic")
    support = (0.0, 1.0)
    draws = True

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        return OutputPlan(1, elements(target))

    def undrawn(self, bounds: Range) -> str | None:
        """Of shares of one there is no probability."""
        two = bounds.levels == 2 or (bounds.integer and bounds.within(0, 1))
        return None if two else f"it gives zeros and ones a probability, but the data are {bounds}"

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.likelihoods import Bernoulli as BernoulliModule

        return BernoulliModule()
