"""A Gaussian prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Gaussian(Prior):
    """N(0, std²) in every dimension."""

    type: Literal["gaussian"] = "gaussian"
    example = "latent: {type: adversarial, dim: 2, prior: {type: gaussian, std: 0.5}, discriminator: {layer: linear, width: [4, 3]}}"
    also = ("normal", "standard", "standard_normal")
    density = True
    std: float = knob(1.0, "standard deviation", affects="training", gt=0)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import GaussianPrior

        return GaussianPrior(node.output.shape, self.std)
