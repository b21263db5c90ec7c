"""A critic whose features measure the reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.critic import Critic, leaky_layers
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import AUTOENCODER, Contribution, ModelTypes, Term, TermPlan

if TYPE_CHECKING:
    from torch import nn


def _layers() -> list[Any]:
    return leaky_layers("linear", 256, 256)


class VaeGan(Critic):
    """A critic whose hidden features measure the reconstruction (VAE/GAN, Larsen et al., 2016).

    It judges reconstructions and decoded draws of the prior; its verdict moves the decoder alone. The term `critic_features` is half the
    squared distance of a reconstruction's features from the data's, which takes the place of the reconstruction (give that the weight
    0); it moves encoder and decoder, and not the critic.
    """

    type: Literal["vae_gan"] = "vae_gan"
    key = "critic"
    also = ("vaegan", "feature_matching")
    players = ("critic_discriminator",)
    needs = ("sample",)
    replaces = ("reconstruction",)
    network: list[Layer] = Field(default_factory=_layers, description="hidden layers, a stage", min_length=1)
    reads: Literal["output"] = knob("output", "what it judges", affects="graph")
    form: Literal["hinge", "non_saturating", "least_squares", "wasserstein"] = knob(
        "non_saturating", "how verdicts become losses; wasserstein wants a gradient_penalty or spectral_norm", affects="loss")
    layer: int | None = knob(None, "the hidden layer whose outputs are compared, counted from 0; the last one if absent",
                             affects="gradient", ge=0)
    example: ClassVar[str] = """\
data: {type: wine, limit: 40}
latent: {type: gaussian, dim: 2}
losses:
  reconstruction: {type: mse, weight: 0}
  critic: {type: vae_gan, network: [linear: {width: 5, activation: tanh}, linear: {width: 4, activation: tanh}], layer: 0, weight: 0.5}
  critic_features: 2
train: {steps: 4, batch_size: 20}
"""

    def check(self, types: ModelTypes) -> str | None:
        """The layer must be there, and a prior to draw from."""
        if self.layer is not None and self.layer >= len(self.network):
            return f"its network has {len(self.network)} hidden layers, so the last one is layer {len(self.network) - 1}"
        if getattr(getattr(types.latent, "prior", None), "learning", "none") not in ("none", "joint"):
            return "it judges decoded draws of the prior, and this one is not known before the training has ended"
        return None

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """The critic, and the term of its features."""
        planned = super().plan_loss(name, types, site)
        compared = planned.node.children[0].children[self._depth(planned.node) - 1].output
        features = TermPlan(f"{name}_features", AUTOENCODER, prod(compared.shape), Term())
        return replace(planned, terms=(*planned.terms, features))

    def _depth(self, node: Node) -> int:
        """How many steps of the network end with the hidden layer."""
        at = str(len(self.network) - 1 if self.layer is None else self.layer)
        return max(i for i, child in enumerate(node.children[0].children, start=1) if child.name.split("_")[0] == at)

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """Reconstructions and draws are judged, and the features of reconstruction and data compared."""
        return {"decoder": 2, "network": 3}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The critic around its network."""
        from aebuild.modules.vae_gan import FeatureCritic

        return FeatureCritic(children["network"], self.form, self._depth(node), **self.options(children))
