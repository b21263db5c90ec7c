"""A mixture of discretised logistic likelihoods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.levels import Count, Discretized
from aebuild.lang.part import knob
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class DiscretizedLogisticMixture(Discretized):
    """Surprise at the level of a pixel under a mixture of discretised logistic distributions (PixelCNN++, Salimans et al., 2017).

    The decoder predicts weight, location and scale of each component for each element of a sample. Channels are independent of each other
    given the code, where PixelCNN++ lets green see red. The reconstruction is the mean of the locations.
    """

    type: Literal["discretized_logistic_mixture"] = "discretized_logistic_mixture"
    example = "losses: {reconstruction: {type: discretized_logistic_mixture, components: 2, levels: 17, weight: 0.5}}"
    draws = True
    unit = "nats of surprise at its level"
    remembers = 6
    also = ("discretised_logistic_mixture", "mol", "dmol", "dmll", "mixture_of_logistics", "logistic_mixture", "pixelcnn++")
    components: int = knob(5, "logistic distributions of each element", affects="graph", ge=1)
    levels: Count | None = knob(None, "how many levels the data have (default: as they are stored)", affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A logit, a location and a log-scale for each component of each element."""
        self.levels_of(bounds, self.levels)
        return OutputPlan(3 * self.components, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.scaled_likelihoods import DiscretizedLogisticMixture as Module

        return Module(self.components, *self.levels_of(bounds, self.levels), target.feature_axis)
