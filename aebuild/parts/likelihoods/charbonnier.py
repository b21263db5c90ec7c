"""Charbonnier's error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Charbonnier(Likelihood):
    """The absolute error, smooth at 0: √(error² + ε²), as in super-resolution (Charbonnier et al., 1994; Lai et al., 2017)."""

    type: Literal["charbonnier"] = "charbonnier"
    example = "losses: {reconstruction: {type: charbonnier, epsilon: 0.1, weight: 0.5}}"
    unit = "Charbonnier's error"
    remembers = 2
    also = ("pseudo_huber", "charbonnier_loss", "smooth_absolute")
    epsilon: float = knob(1e-3, "the error below which it is nearly flat, in the scale of the data", affects="loss", gt=0)

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        return OutputPlan(1, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.robust_errors import Charbonnier as CharbonnierModule

        return CharbonnierModule(self.epsilon)
