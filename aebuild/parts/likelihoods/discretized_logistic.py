"""A discretised logistic likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.levels import Count, Discretized
from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import nn


class DiscretizedLogistic(Scaled, Discretized):
    """Surprise at the level of a pixel under a logistic distribution that is cut into levels.

    Probabilities of all levels sum to 1, so that its nats are those of the data as they are stored and give true bits per dimension
    (Kingma et al., 2016; Salimans et al., 2017). The levels are known of images, 256 of bytes. The reconstruction is the location. The
    scale, in half of the data's range, is a number, one learned number, one learned for each element, or predicted for each.
    """

    type: Literal["discretized_logistic"] = "discretized_logistic"
    example = ("data: {type: digits, limit: 20, scale: integer}\n"
               "losses: {reconstruction: {type: discretized_logistic, scale: 0.2, weight: 0.5}}\n"
               "---\n"
               "losses: {reconstruction: {type: discretized_logistic, levels: 5}}")
    draws = True
    unit = "nats of surprise at its level"
    remembers = 9
    also = ("discretised_logistic", "dlog", "discrete_logistic", "quantized_logistic")
    scalar = "scale"
    levels: Count | None = knob(None, "how many levels the data have (default: as they are stored)", affects="loss")
    scale: Scale = knob(
        "learned", "a number; learned: one for all; per_dim: one for each element; predicted: by the decoder", affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A location for each element, and a log-scale where it is predicted."""
        self.levels_of(bounds, self.levels)
        return super().plan_output(target, bounds)

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.scaled_likelihoods import DiscretizedLogistic as DiscretizedLogisticModule

        return DiscretizedLogisticModule(*self.levels_of(bounds, self.levels), self.argument(target), target.feature_axis)
