"""A Gaussian posterior with full covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Full(Posterior):
    """A Gaussian at each place whose values depend on each other (Kingma and Welling, 2019).

    The encoder gives the mean and a lower triangular factor of the covariance, dim·(dim + 3)/2 numbers at each place.
    """

    type: Literal["full"] = "full"
    example = "latent: {type: gaussian, dim: 3, posterior: full}"
    also = ("full_covariance", "multivariate_normal", "cholesky", "full_rank", "mvn")
    form = "full"

    def features(self, dim: int) -> int:
        """Mean, diagonal and the triangle below it."""
        return 2 * dim + dim * (dim - 1) // 2

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.posterior_full import Full as FullModule

        return FullModule(node.output.feature_axis, node.output.features)
