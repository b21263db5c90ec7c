"""A variational code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Latent, LatentPlan
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import feature_axis, to_code
from aebuild.lang.terms import Term
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
        """A scalar from [N, ...]: each value of the code averaged over the batch, held at `free_bits`, then summed."""
        if self.free_bits == 0:
            return super().reduce(raw, elements)
        total = raw.mean(0).clamp(min=self.free_bits).sum()
        return total / elements if self.reduction == "mean" else total


class Gaussian(Latent):
    """A variational code: a Gaussian for each sample, pulled to N(0, I) (Kingma and Welling, 2013).

    The posterior is diagonal. The code is a draw from it, in training and in evaluation.
    """

    type: Literal["gaussian"] = "gaussian"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {reconstruction: bernoulli, kl: {weight: {from: 0.1, to: 2, over: 1 epoch}, free_bits: 0.05}}\n"
               "train: {epochs: 2, batch_size: 10}")
    also = ("vae", "variational", "beta_vae", "normal", "kl", "stochastic")
    terms = {"kl": KlTerm}
    meanings = {"kl": "nats that the code tells of its sample; lower is a looser code, near 0 it tells nothing",
                "active_units": "values of the code that vary with the data, averaged over batches; 0 is a collapsed code"}

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters and a projection to means and log-variances."""
        steps = to_code(self, value, site, 2 * self.dim)
        code = steps[-1].output.with_features(self.dim)
        size = elements(code)
        node = Node(site.path, "gaussian", value, code, self, children=steps)
        return LatentPlan(node, code, size, 32.0 * size, (("kl", "autoencoder", size),))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_gaussian import GaussianLatent

        return GaussianLatent(children, node.output.shape, feature_axis(node.output))
