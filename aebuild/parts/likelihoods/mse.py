"""The squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Mse(Likelihood):
    """Squared error; the ELBO's ratio to a KL term is that of a Gaussian of variance 1/2."""

    type: Literal["mse"] = "mse"
    example = "losses: {reconstruction: {type: mse, weight: 2}}"
    unit = "squared error"
    also = ("l2", "mean_squared_error", "squared", "squared_error", "rmse")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        return OutputPlan(1, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.likelihoods import SquaredError

        return SquaredError()
