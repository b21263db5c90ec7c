"""A code in the Poincaré ball."""

from __future__ import annotations

from dataclasses import replace
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


def _wrapped() -> Any:
    return Prior.named("wrapped_normal")


class Poincare(VariationalLatent):
    """A variational code in the Poincaré ball, a hyperbolic space for hierarchies (Mathieu et al., 2019).

    Posterior and prior are wrapped normal distributions; the code lies in the ball of radius 1/√curvature at each place, and the KL is
    that of the draw.
    """

    type: Literal["poincare"] = "poincare"
    example = ("latent: {type: poincare, dim: 2, curvature: 0.7}\n"
               "losses: {kl: 0.5}")
    also = ("hyperbolic", "pvae", "poincare_vae", "poincare_ball")
    support = "ball"
    curvature: float = knob(1.0, "how strongly space is curved, c > 0; the ball's radius is 1/√c", affects="graph", gt=0)
    prior: Prior = Field(default_factory=_wrapped, description="what the `kl` term pulls the posteriors to, and new codes are drawn from")

    def support_options(self) -> dict[str, Any]:
        """The curvature."""
        return {"curvature": self.curvature}

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """A way from the origin and log-variances at each place."""
        plan = self.plan_variational(value, site, 2 * self.dim, self.dim, lambda code: Contribution(
            node=Node(f"{site.path}.posterior", "wrapped normal posterior", code, code, self, aside=True)), self.prior)
        return replace(plan, node=replace(plan.node, args=self.support_options()))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent, or its posterior."""
        from aebuild.modules.latent_gaussian import GaussianLatent
        from aebuild.modules.poincare import WrappedNormalPosterior
        from aebuild.modules.priors import Prior as PriorModule

        if node.name == "posterior":
            return WrappedNormalPosterior(node.output.feature_axis, self.curvature)
        posterior, prior = children.pop("posterior"), children.pop("prior")
        assert isinstance(prior, PriorModule)
        return GaussianLatent(children, node.output.shape, posterior, prior)
