"""Affine coupling flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.flow_posterior import CouplingFlows
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class RealNvp(CouplingFlows):
    """A diagonal Gaussian through affine coupling flows (Dinh et al., 2017).

    Each flow scales and moves one half of the values by what a network says of the other half and the encoder's context.
    """

    type: Literal["realnvp"] = "realnvp"
    example = "latent: {type: gaussian, dim: 3, posterior: {type: realnvp, flows: 2, width: 6, context: 2}}"
    also = ("real_nvp", "coupling", "affine_coupling")

    def numbers_of_value(self) -> int:
        """A scale and a shift."""
        return 2

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.flow_coupling import AffineCoupling
        from aebuild.modules.flow_posterior import FlowPosterior

        dim = node.output.features
        flows = [AffineCoupling(dim, self.context, self.width, backwards=i % 2 == 1) for i in range(self.flows)]
        return FlowPosterior(flows, node.output.feature_axis, dim)
