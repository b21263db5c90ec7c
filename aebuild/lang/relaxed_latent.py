"""What discrete variational latents share: bits and categories that are relaxed while training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from aebuild.lang.families import LatentPlan, Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.schedule import Dial, positive_temperature
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value
from aebuild.lang.variational import VariationalLatent

if TYPE_CHECKING:
    from torch import nn


def _uniform() -> Any:
    return Prior.named("uniform")


class RelaxedLatent(VariationalLatent):
    """A variational code that is discrete; while training its draws are relaxed, so that a gradient passes them.

    The KL is in closed form. In evaluation draws are exact.
    """

    pathwise = False
    temperature: Dial = knob(1.0, "of the relaxation, above 0: the lower, the nearer to discrete and the noisier the gradient; "
                                  "a number or a schedule", affects="gradient")
    hard: bool = knob(True, "training decodes exact draws, with the relaxed ones' gradient (straight-through); without, the relaxed ones",
                      affects="loss")
    prior: Prior = Field(default_factory=_uniform, description="what the `kl` term pulls the posteriors to, and new codes are drawn from")

    _positive = field_validator("temperature")(positive_temperature)

    def dials(self) -> dict[str, Dial]:
        """The posterior's temperature."""
        return {"temperature": self.temperature}

    def plan_relaxed(self, value: Value, site: Site, kind: str, features: int, variables: int, bits: float) -> LatentPlan:
        """Logits for the code's features; so many variables of so many bits each at each place."""
        plan = self.plan_variational(value, site, features, features, lambda code: Contribution(
            node=Node(f"{site.path}.posterior", f"{kind} posterior", code, code, self, {"dials": True}, aside=True)), self.prior)
        count = plan.values // features * variables
        return replace(plan, values=count, bits=bits * count)

    def build_posterior(self, node: Node) -> nn.Module:
        """The posterior's module."""
        raise TypeError(f"{type(self).__name__} has no posterior")

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent, or its posterior."""
        from aebuild.modules.latent_gaussian import GaussianLatent
        from aebuild.modules.priors import Prior as PriorModule

        if node.name == "posterior":
            return self.build_posterior(node)
        posterior, prior = children.pop("posterior"), children.pop("prior")
        assert isinstance(prior, PriorModule)
        return GaussianLatent(children, node.output.shape, posterior, prior)
