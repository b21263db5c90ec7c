"""Inverse autoregressive flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.flow_posterior import NetworkFlows
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Iaf(NetworkFlows):
    """A diagonal Gaussian through inverse autoregressive flows (Kingma et al., 2016).

    Each flow gates every value by a masked network (MADE) of those before it and of the encoder's context; the order turns around from
    flow to flow.
    """

    type: Literal["iaf"] = "iaf"
    example = "latent: {type: gaussian, dim: 3, posterior: {type: iaf, flows: 2, width: 6, context: 2}}"
    also = ("inverse_autoregressive", "inverse_autoregressive_flow", "autoregressive")

    def weights_of_flow(self, dim: int) -> dict[str, tuple[int, ...]]:
        """Context to hidden, values to hidden, hidden to shifts and gates."""
        return {"told.weight": (self.width, self.context), "inner.weight": (self.width, dim), "inner.bias": (self.width,),
                "outer.weight": (2 * dim, self.width), "outer.bias": (2 * dim,)}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.flow_autoregressive import InverseAutoregressive
        from aebuild.modules.flow_posterior import FlowPosterior

        dim = node.output.features
        flows = [InverseAutoregressive(dim, self.context, self.width, backwards=i % 2 == 1) for i in range(self.flows)]
        return FlowPosterior(flows, node.output.feature_axis, dim)
