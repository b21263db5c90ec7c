"""The covariance of codes pulled to the identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class Dip(Penalty):
    """Squared differences of the codes' covariance to the identity: DIP-VAE (Kumar et al., 2018).

    `of: means` is DIP-VAE I, the covariance of the posteriors' means; `of: codes` is DIP-VAE II, which adds the posteriors' own. Of a
    `continuous` code the means are the codes. A scalar over the batch.
    """

    type: Literal["dip"] = "dip"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {dip: {of: codes, off_diagonal: 4, diagonal: 2}}")
    also = ("dip_vae", "dipvae", "dip_i", "dip_ii", "dip_vae_i", "dip_vae_ii", "decorrelation")
    across = True
    key = "dip"
    unit = "weighted squared differences of the covariance to the identity"
    of: Literal["means", "codes"] = knob("means", "whose covariance: of the posteriors' means (I), or of the codes (II)", affects="loss")
    off_diagonal: float = knob(10.0, "weight of the covariances, λ_od", affects="loss", ge=0)
    diagonal: float = knob(10.0, "weight of the variances' differences to 1, λ_d", affects="loss", ge=0)

    def check(self, types: ModelTypes) -> str | None:
        """Real codes; of noisy ones a covariance that is known."""
        posterior = getattr(types.latent, "posterior", None)
        gaussian = isinstance(posterior, Posterior) and posterior.form in ("diagonal", "full")
        if not gaussian and (self.of == "codes" or types.latent.variant_name() not in ("continuous", "adversarial")):
            other = "`of: means` for a code without noise" if self.of == "codes" else "a continuous code"
            return f"it needs a gaussian latent with a Gaussian posterior, or {other}"
        return None

    def elements(self, types: ModelTypes) -> int:
        """One number for the batch."""
        return 1

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The term's module."""
        from aebuild.modules.inferred_prior import InferredPrior

        return InferredPrior(self.off_diagonal, self.diagonal, noise=self.of == "codes")
