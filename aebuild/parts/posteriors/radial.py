"""Radial flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Radial(Posterior):
    """A diagonal Gaussian through radial flows (Rezende and Mohamed, 2015).

    At each place the encoder gives every flow its centre, how wide it reaches and how strong it is: dim + 2 numbers of each sample.
    """

    type: Literal["radial"] = "radial"
    example = "latent: {type: gaussian, dim: 3, posterior: {type: radial, flows: 2}}"
    also = ("radial_flow",)
    flows: int = knob(4, "flows, one after the other", affects="graph", ge=1, le=1000)

    def features(self, dim: int) -> int:
        """Mean, log-variance and the flows' numbers."""
        return 2 * dim + self.flows * (dim + 2)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.flow_posterior import FlowPosterior
        from aebuild.modules.flow_simple import Radial as RadialModule

        dim = node.output.features
        return FlowPosterior([RadialModule() for _ in range(self.flows)], node.output.feature_axis, dim, [dim + 2] * self.flows)
