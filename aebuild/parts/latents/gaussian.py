"""A variational code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import LatentPlan, Posterior, Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.prior import PULLING
from aebuild.lang.values import Value
from aebuild.lang.variational import VariationalLatent

if TYPE_CHECKING:
    from torch import nn


FLAT = Rule("AE858", "a posterior that moves in a metric, and a prior without one", """\
Draws of a `riemannian` posterior move in a metric of the code, which is made of training samples. The `manifold` prior holds these samples
and draws new codes by the same metric. Without a metric the steps are those of the `hamiltonian` posterior.

```yaml
latent: {type: gaussian, dim: 3, posterior: riemannian}
```
```yaml
latent: {type: gaussian, dim: 3, posterior: riemannian, prior: manifold}
```
""")

NOTHING_BESIDE = Rule("AE872", "a posterior beside a prior that is the same for all samples", """\
A `relative` posterior is what the code differs by from a Gaussian of its own prior, which a level above or a condition moves: that of a
`conditional` prior. Beside N(0, I) it would be the usual `diagonal` posterior, and other priors are no single Gaussian.

```yaml
latent: {type: gaussian, dim: 3, posterior: relative}
```
```yaml
condition: {label: {into: [encoder, decoder, prior]}}
latent: {type: gaussian, dim: 3, posterior: relative, prior: conditional}
```
""")


def _diagonal() -> Any:
    return Posterior.named("diagonal")


def _standard() -> Any:
    return Prior.named("gaussian")


class Gaussian(VariationalLatent):
    """A variational code: a draw from a posterior of each sample, pulled to a prior (Kingma and Welling, 2013).

    By default the posterior is a diagonal Gaussian and the prior N(0, I). The code is a draw, in training and in evaluation.
    """

    type: Literal["gaussian"] = "gaussian"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {reconstruction: bernoulli, kl: {weight: {from: 0.1, to: 2, over: 1 epoch}, free_bits: 0.05}}\n"
               "train: {steps: 6, batch_size: 10}")
    also = ("vae", "variational", "beta_vae", "normal", "kl", "stochastic")
    learns = ("none", "joint", "fitted", "phase")
    posterior: Posterior = Field(default_factory=_diagonal, description="what a sample's code is drawn from")
    prior: Prior = Field(default_factory=_standard, description="what the `kl` term pulls the posteriors to, and new codes are drawn from; "
                         "one that is fitted or learned afterwards leaves the pull to N(0, I)")

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, a projection to the posterior's numbers, posterior and prior; refuses a posterior whose prior lacks what it needs."""
        if self.posterior.curved and not self.prior.bends:
            message = f"{self.posterior.variant_name()} moves in a metric of the code, and the prior {self.prior.variant_name()} has none"
            site.refuse(self, FLAT, message, "posterior", fix="prior: manifold")
        if self.posterior.beside_prior and not self.prior.of_each_sample:
            message = f"{self.posterior.variant_name()} is told beside the Gaussian that the prior gives each sample, and " \
                      f"{self.prior.variant_name()} gives none"
            site.refuse(self, NOTHING_BESIDE, message, "posterior", fix="prior: conditional" if site.stage.given else "posterior: diagonal")
        plan = self.plan_variational(value, site, self.posterior.features(self.dim), self.dim,
                                     lambda code: self.posterior.plan_posterior(code, site.at("posterior")), self.prior)
        return replace(plan, node=replace(plan.node, macs=self.posterior.macs_of_draw(plan.code)))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_gaussian import GaussianLatent
        from aebuild.modules.priors import GaussianPrior
        from aebuild.modules.priors import Prior as PriorModule

        posterior, prior = children.pop("posterior"), children.pop("prior")
        assert isinstance(prior, PriorModule)
        pull = None if self.prior.way(self.learns) in PULLING else GaussianPrior(node.output.shape, 1.0)
        return GaussianLatent(children, node.output.shape, posterior, prior, pull)
