"""Planar flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Planar(Posterior):
    """A diagonal Gaussian through planar flows (Rezende and Mohamed, 2015).

    At each place the encoder gives every flow its direction, its plane and its offset: 2·dim + 1 numbers of each sample.
    """

    type: Literal["planar"] = "planar"
    example = "latent: {type: gaussian, dim: 3, posterior: {type: planar, flows: 2}}"
    also = ("planar_flow", "linear_nf", "normalizing_flow")
    flows: int = knob(4, "flows, one after the other", affects="graph", ge=1, le=1000)

    def features(self, dim: int) -> int:
        """Mean, log-variance and the flows' numbers."""
        return 2 * dim + self.flows * (2 * dim + 1)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.flow_posterior import FlowPosterior
        from aebuild.modules.flow_simple import Planar as PlanarModule

        dim = node.output.features
        return FlowPosterior([PlanarModule() for _ in range(self.flows)], node.output.feature_axis, dim, [2 * dim + 1] * self.flows)
