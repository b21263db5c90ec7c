"""A code on the unit sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.families import LatentPlan, Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value
from aebuild.lang.variational import VariationalLatent

if TYPE_CHECKING:
    from torch import nn


def _uniform() -> Any:
    return Prior.named("uniform")


class Hyperspherical(VariationalLatent):
    """A variational code on the unit sphere: S-VAE (Davidson et al., 2018).

    The posterior is a von Mises-Fisher distribution around a direction that the encoder gives, with a concentration from 1 to 10,000; the
    prior is uniform. The code is a unit vector of `dim` values, a point of the sphere S^(dim−1), at each place.
    """

    type: Literal["hyperspherical"] = "hyperspherical"
    example = ("latent: {type: hyperspherical, dim: 3}\n"
               "losses: {kl: 0.5}")
    also = ("svae", "s_vae", "spherical", "sphere", "von_mises_fisher", "vmf")
    support = "sphere"
    dim: int = knob(..., "values of the unit vector at each place; 3 is the usual sphere", examples=[8], affects="graph", ge=2)
    prior: Prior = Field(default_factory=_uniform, description="what the `kl` term pulls the posteriors to, and new codes are drawn from")

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """A direction and a concentration at each place."""
        return self.plan_variational(value, site, self.dim + 1, self.dim, lambda code: Contribution(
            node=Node(f"{site.path}.posterior", "von Mises-Fisher posterior", code, code, self, aside=True)), self.prior)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent, or its posterior."""
        from aebuild.modules.latent_gaussian import SphericalLatent
        from aebuild.modules.priors import Prior as PriorModule
        from aebuild.modules.sphere import VonMisesFisherPosterior

        if node.name == "posterior":
            return VonMisesFisherPosterior(node.output.feature_axis)
        posterior, prior = children.pop("posterior"), children.pop("prior")
        assert isinstance(prior, PriorModule)
        return SphericalLatent(children, node.output.shape, posterior, prior, node.output.feature_axis)
