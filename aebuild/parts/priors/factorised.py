"""A learned distribution of each feature of a rounded code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.density import density_weights
from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Factorised(Prior):
    """Each feature of a rounded code has a learned distribution of its own, at all places alike (Ballé et al., 2017, 2018).

    Its distribution function is a small network that can only rise.
    """

    type: Literal["factorised"] = "factorised"
    example = ("latent: {type: compressed, dim: 3, prior: factorised}\n"
               "losses: {rate: 0.1}")
    also = ("factorized", "entropy_bottleneck", "entropybottleneck", "fully_factorized")
    coded = True
    learning = "joint"

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The networks of all features."""
        weights = {f"density.{name}": shape for name, shape in density_weights(codes.features).items()}
        return Contribution(node=Node(site.path, "factorised prior", codes, codes, self, weights=weights, aside=True))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.entropy_models import Factorised as FactorisedModule

        return FactorisedModule(node.output.shape, node.output.feature_axis)
