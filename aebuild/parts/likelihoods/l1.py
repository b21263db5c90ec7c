"""The absolute error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class L1(Likelihood):
    """Absolute error, less moved by outliers than the squared one."""

    type: Literal["l1"] = "l1"
    example = "losses: {reconstruction: {type: l1, weight: 0.5}}"
    unit = "absolute error"
    also = ("mae", "mean_absolute_error", "absolute")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        return OutputPlan(1, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.likelihoods import AbsoluteError

        return AbsoluteError()
