"""Neural spline flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.flow_posterior import CouplingFlows
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class NeuralSpline(CouplingFlows):
    """A diagonal Gaussian through coupling flows of rational-quadratic splines (Durkan et al., 2019).

    Each flow bends one half of the values within [-bound, bound] along monotone splines, whose knots a network tells from the other half
    and the encoder's context; beyond it they stay.
    """

    type: Literal["neural_spline"] = "neural_spline"
    example = "latent: {type: gaussian, dim: 3, posterior: {type: neural_spline, flows: 2, width: 6, context: 2, bins: 3, bound: 2}}"
    also = ("nsf", "spline", "rational_quadratic", "rqs", "neural_spline_flow")
    bins: int = knob(8, "pieces of each spline", affects="graph", ge=2, le=500)
    bound: float = knob(4.0, "how far from zero values are bent", affects="graph", gt=0)

    def numbers_of_value(self) -> int:
        """Widths, heights and the slopes between the bins."""
        return 3 * self.bins - 1

    def options(self) -> dict[str, float]:
        """Where the splines end."""
        return {"bound": self.bound}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.flow_coupling import SplineCoupling
        from aebuild.modules.flow_posterior import FlowPosterior

        dim = node.output.features
        flows = [SplineCoupling(dim, self.context, self.width, self.bins, self.bound, backwards=i % 2 == 1) for i in range(self.flows)]
        return FlowPosterior(flows, node.output.feature_axis, dim)
