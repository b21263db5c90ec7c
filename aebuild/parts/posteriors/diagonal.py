"""A diagonal Gaussian posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Diagonal(Posterior):
    """A Gaussian for each value of the code, independently (Kingma and Welling, 2013)."""

    type: Literal["diagonal"] = "diagonal"
    example = "latent: {type: gaussian, dim: 3, posterior: diagonal}"
    also = ("normal", "gaussian", "independent", "factorised", "factorized", "mean_field")
    form = "diagonal"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.posteriors import Diagonal as DiagonalModule

        return DiagonalModule(node.output.feature_axis)
