"""A deterministic code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.families import Activation, LatentPlan, Prior, ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import to_code
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


def _fitted() -> Any:
    return Prior.named("fitted")


class Continuous(ProjectedLatent):
    """A deterministic code of real numbers, as in a classical autoencoder.

    Nothing pulls it to a prior: one is fitted to the codes of the training data, or learned from them, so that it can be sampled.
    """

    type: Literal["continuous"] = "continuous"
    example = "latent: {type: continuous, dim: 4, activation: sigmoid}"
    also = ("ae", "deterministic", "autoencoder", "plain", "vector", "bottleneck", "vanilla")
    learns = ("fitted", "phase")
    activation: Activation | None = knob(None, "nonlinearity on the code; sigmoid keeps it in (0, 1)", affects="graph")
    prior: Prior = Field(default_factory=_fitted, description="how new codes are drawn: fitted, from a Gaussian fitted to the training "
                         "data's; or learned")

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, projection, activation and the prior."""
        steps = to_code(self, value, site, self.dim, self.activation)
        if self.activation is not None:
            steps += (self.activation.plan(steps[-1].output, site.at("activation")),)
        code = steps[-1].output
        size = elements(code)
        node = Node(site.path, "continuous", value, code, self, children=steps)
        plan = LatentPlan(node=node, code=code, values=size, bits=32.0 * size, codes=code)
        return plan.joined(self.prior.serve(self, code, site, self.learns))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_continuous import ContinuousLatent
        from aebuild.modules.priors import Prior as PriorModule

        prior = children.pop("prior")
        assert isinstance(prior, PriorModule)
        return ContinuousLatent(children, prior)
