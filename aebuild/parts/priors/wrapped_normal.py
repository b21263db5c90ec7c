"""A normal distribution in the Poincaré ball."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class WrappedNormal(Prior):
    """A normal distribution around the origin, wrapped onto the Poincaré ball (Mathieu et al., 2019)."""

    type: Literal["wrapped_normal"] = "wrapped_normal"
    example = "latent: {type: poincare, dim: 2, prior: {type: wrapped_normal, std: 0.5}}"
    also = ("hyperbolic_normal",)
    serves = ("ball",)
    std: float = knob(1.0, "standard deviation of the distance in each direction", affects="training", gt=0)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.poincare import WrappedNormalPrior

        return WrappedNormalPrior(node.output.shape, node.output.feature_axis, self.std, node.args["curvature"])
