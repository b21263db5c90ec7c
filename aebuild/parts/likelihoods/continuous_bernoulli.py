"""A continuous Bernoulli likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class ContinuousBernoulli(Likelihood):
    """Negative log-density of grey values in [0, 1]: cross-entropy with the constant that makes it a density.

    What a Bernoulli likelihood means for values that are no zeros and ones (Loaiza-Ganem and Cunningham, 2019). The output is a logit,
    the reconstruction the distribution's mean.
    """

    type: Literal["continuous_bernoulli"] = "continuous_bernoulli"
    example = "losses: {reconstruction: {type: continuous_bernoulli, weight: 0.5}}"
    unit = "nats of negative log-density (which may be below 0)"
    remembers = 8
    also = ("cb", "cont_bernoulli", "continuous_bce")
    support = (0.0, 1.0)

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        return OutputPlan(1, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.unit_likelihoods import ContinuousBernoulli as ContinuousBernoulliModule

        return ContinuousBernoulliModule()
