"""Huber's error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Huber(Likelihood):
    """Half the squared error where it is small, in proportion to the absolute one where it is large (Huber, 1964)."""

    type: Literal["huber"] = "huber"
    example = "losses: {reconstruction: {type: huber, delta: 0.3, weight: 0.5}}"
    unit = "Huber's error"
    also = ("smooth_l1", "huber_loss", "smoothl1")
    delta: float = knob(1.0, "the error from which on it counts by its size alone", affects="loss", gt=0)

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        return OutputPlan(1, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.robust_errors import Huber as HuberModule

        return HuberModule(self.delta)
