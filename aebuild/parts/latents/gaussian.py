"""A variational code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.families import LatentPlan, Posterior, Prior, ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.prior import PULLING
from aebuild.lang.projection import to_code
from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import Tensor, nn


class KlTerm(Term):
    """The KL divergence of the posterior to the prior, in nats; a weight above 1 is a β-VAE (Higgins et al., 2017)."""

    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {kl: {weight: 0.5, free_bits: 0.05}}")
    also = ("beta", "kl_weight", "kld", "kl_loss", "kl_divergence", "kl_beta")

    free_bits: float = knob(
        0.0, "nats of each value of the code, on average over the batch, below which the KL counts as this (Kingma et al., 2016)",
        affects="loss", ge=0)

    def reduce(self, raw: Tensor, elements: int) -> Tensor:
        """A scalar from [N, ...]: each value of the code averaged over the batch, held at `free_bits`, then summed.

        Where the posterior or the prior ties the values together there is one number a sample, [N], which is held at all their bits.
        """
        if self.free_bits == 0:
            return super().reduce(raw, elements)
        floor = self.free_bits * (elements if raw.ndim == 1 else 1)         # one number a sample stands for all values together
        total = raw.mean(0).clamp(min=floor).sum()
        return total / elements if self.reduction == "mean" else total


def _diagonal() -> Any:
    return Posterior.named("diagonal")


def _standard() -> Any:
    return Prior.named("gaussian")


class Gaussian(ProjectedLatent):
    """A variational code: a draw from a posterior of each sample, pulled to a prior (Kingma and Welling, 2013).

    By default the posterior is a diagonal Gaussian and the prior N(0, I). The code is a draw, in training and in evaluation.
    """

    type: Literal["gaussian"] = "gaussian"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {reconstruction: bernoulli, kl: {weight: {from: 0.1, to: 2, over: 1 epoch}, free_bits: 0.05}}\n"
               "train: {epochs: 2, batch_size: 10}")
    also = ("vae", "variational", "beta_vae", "normal", "kl", "stochastic")
    learns = ("none", "joint", "fitted", "phase")
    posterior: Posterior = Field(default_factory=_diagonal, description="what a sample's code is drawn from")
    prior: Prior = Field(default_factory=_standard, description="what the `kl` term pulls the posteriors to, and new codes are drawn from; "
                         "one that is fitted or learned afterwards leaves the pull to N(0, I)")
    terms = {"kl": KlTerm}
    meanings = {"kl": "nats that the code tells of its sample; lower is a looser code, near 0 it tells nothing",
                "active_units": "values of the code that vary with the data, averaged over batches; 0 is a collapsed code"}

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, a projection to the posterior's numbers, posterior and prior."""
        steps = to_code(self, value, site, self.posterior.numbers * self.dim)
        code = steps[-1].output.with_features(self.dim)
        size = elements(code)
        node = Node(site.path, "gaussian", value, code, self, children=steps)
        plan = LatentPlan(node=node, code=code, values=size, bits=32.0 * size, codes=code,
                          terms=(TermPlan("kl", AUTOENCODER, size, KlTerm()),))
        return plan.joined(self.posterior.plan_posterior(code, site.at("posterior")),
                           self.prior.serve(self, code, site, self.learns, density=True))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_gaussian import GaussianLatent
        from aebuild.modules.priors import GaussianPrior
        from aebuild.modules.priors import Prior as PriorModule

        posterior, prior = children.pop("posterior"), children.pop("prior")
        assert isinstance(prior, PriorModule)
        pull = None if self.prior.way(self.learns) in PULLING else GaussianPrior(node.output.shape, 1.0)
        return GaussianLatent(children, node.output.shape, posterior, prior, pull)
