"""Total correlation by a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.critic import judging_network
from aebuild.lang.families import Activation, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.terms import AUTOENCODER, Contribution, ModelTypes, Penalty, Role, Term, TermPlan
from aebuild.lang.values import Tokens, Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn


def _paper() -> list[Any]:
    layer = Layer.named("linear", width=1000, activation=Activation.named("leaky_relu", negative_slope=0.2))
    return [layer] * 6


class Factor(Penalty):
    """Total correlation of the code, told by a discriminator: FactorVAE (Kim and Mnih, 2018).

    The discriminator, a player called after the term with `_discriminator` behind it, learns to tell codes from codes whose values were
    shuffled over the batch, each on its own; its logit at a code, [N] nats, is the term.
    """

    type: Literal["factor"] = "factor"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {factor: {weight: 5, network: [linear: 4]}}\n"
               "train: {steps: 4, batch_size: 10, players: {factor_discriminator: {optimizer: {lr: 0.01}}}}")
    also = ("factor_vae", "factorvae")
    across = True
    key = "factor"
    unit = "nats of total correlation, as the discriminator tells it"
    players = ("factor_discriminator",)
    network: list[Layer] = Field(
        default_factory=_paper, description="hidden layers of the discriminator, a stage; six of 1000 as in the paper")

    def check(self, types: ModelTypes) -> str | None:
        """Real codes of two values or more."""
        if isinstance(types.code, Tokens) or types.latent.variant_name() == "codebook":
            return "it tells how real values of a code depend on each other; a codebook has entries"
        return None if elements(types.code) > 1 else "a single value has no total correlation"

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """The network, two terms and a player."""
        given: Value = Vector(elements(types.code))
        network = judging_network(self, self.network, given, site.at("network"))
        node = Node(site.path, "factor", given, network.output, self, children=(network,), aside=True)
        player = f"{name}_discriminator"
        return Contribution(node=node, terms=(TermPlan(name, AUTOENCODER, 1, self), TermPlan(player, player, 1, Term())),
                            players=(Role(player, (network.path,), apart=True, through=False),))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The term's module around its network."""
        from aebuild.modules.factor_critic import FactorCritic

        return FactorCritic(children["network"])
