"""The distance of codes to the prior by a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.families import Latent, Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import AUTOENCODER, Contribution, ModelTypes, Penalty, TermPlan
from aebuild.lang.values import Tokens
from aebuild.lang.variational import fixed_prior

if TYPE_CHECKING:
    from torch import nn


class Mmd(Penalty):
    """The maximum mean discrepancy of codes to the prior (Gretton et al., 2012).

    Of a `continuous` code it makes a WAE-MMD (Tolstikhin et al., 2018), beside a `kl` an InfoVAE (Zhao et al., 2017): with their α and λ
    `kl` weighs 1 − α and this term α + λ − 1. The unbiased estimate of MMD² between a batch's codes and as many draws of the prior, which
    can be negative.
    """

    type: Literal["mmd"] = "mmd"
    example = ("latent: {type: continuous, dim: 2}\n"
               "losses: {mmd: {weight: 5, kernel: rbf, bandwidths: [0.5, 2], prior: {type: gaussian, std: 2}}}")
    also = ("wae_mmd", "info_vae", "infovae", "mmd_vae", "maximum_mean_discrepancy")
    across = True
    key = "mmd"
    unit = "MMD² of codes and prior"
    kernel: Literal["imq", "rbf"] = knob(
        "imq", "inverse multiquadric C/(C + d²) with C = 2·h²·values of the code, or Gaussian exp(−d²/2h²)", affects="loss")
    bandwidths: list[float] = knob([1.0], "h of each kernel; kernels are added", affects="loss", min_length=1)
    prior: Prior | None = Field(None, description="what codes should look like; the latent's own prior, or N(0, I) where that is learned "
                                                  "from codes")

    def check(self, types: ModelTypes) -> str | None:
        """Real codes, and positive bandwidths."""
        if isinstance(types.code, Tokens) or types.latent.variant_name() == "codebook":
            return "it compares real codes with draws of a prior; a codebook has entries"
        if min(self.bandwidths) <= 0:
            return "a bandwidth is a positive number"
        latent = getattr(types.latent, "prior", None)
        if self.prior is None and isinstance(latent, Prior) and latent.learning == "joint":
            return "the latent's prior is learned with the model; `prior` says which fixed one codes are compared with"
        if self.prior is not None and (self.prior.learning != "none" or getattr(types.latent, "support", "code") not in self.prior.serves):
            return f"{self.prior.variant_name()} is no prior that codes can be drawn from before they are known"
        return None

    def elements(self, types: ModelTypes) -> int:
        """One number for the batch."""
        return 1

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """A prior of its own; no weights."""
        prior = self.prior or fixed_prior(types.latent) or _standard()
        assert isinstance(types.latent, Latent), "the types are a latent's"
        own = prior.plan_for(types.latent, types.code, site.at("prior")).node
        node = Node(site.path, "mmd", types.code, types.code, self, aside=True, children=(own,))
        return Contribution(node=node, terms=(TermPlan(name, AUTOENCODER, 1, self),))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The term's module."""
        from aebuild.modules.discrepancy import Mmd as MmdModule
        from aebuild.modules.priors import Prior as PriorModule

        prior = children["prior"]
        assert isinstance(prior, PriorModule)
        return MmdModule(prior, self.kernel, self.bandwidths)


def _standard() -> Any:
    return Prior.named("gaussian")
