"""A code of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import LatentPlan
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.relaxed_latent import RelaxedLatent
from aebuild.lang.schedule import numbers
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Bernoulli(RelaxedLatent):
    """A variational code of bits, relaxed by binary concrete draws while training (Maddison et al., 2017)."""

    type: Literal["bernoulli"] = "bernoulli"
    example = ("latent: {type: bernoulli, dim: 4, temperature: 0.7}\n"
               "---\n"
               "latent: {type: bernoulli, dim: 4, hard: false, temperature: {from: 1, to: 0.5, over: 3 steps}}")
    also = ("binary", "bits", "binary_concrete", "dvae", "discrete_vae")
    support = "bits"
    dim: int = knob(..., "bits at each place", examples=[64], affects="graph", ge=1)

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """A logit for each bit."""
        return self.plan_relaxed(value, site, "Bernoulli", self.dim, self.dim, 1.0)

    def build_posterior(self, node: Node) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.relaxed import BernoulliPosterior

        return BernoulliPosterior(numbers(self.temperature)[0], hard=self.hard)
