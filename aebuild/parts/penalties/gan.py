"""A critic with one verdict for each sample."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.critic import Critic, leaky_layers
from aebuild.lang.families import Layer


def _layers() -> list[Any]:
    return leaky_layers("linear", 256, 256)


class Gan(Critic):
    """A critic with one verdict for each reconstruction, code, or pair (Goodfellow et al., 2014).

    Its player is `critic_discriminator`. Of codes it wants that they look like draws of `prior` (Tolstikhin et al., 2018), of a
    reconstruction with its code that it looks like the data with that code.
    """

    type: Literal["gan"] = "gan"
    key = "critic"
    also = ("discriminator", "adversarial_loss", "wgan", "wgan_gp")
    players = ("critic_discriminator",)
    network: list[Layer] = Field(default_factory=_layers, description="hidden layers, a stage")
    example: ClassVar[str] = """\
data: {type: wine, limit: 40}
latent: {type: continuous, dim: 2}
losses: {critic: {type: gan, network: {layer: linear, width: [4, 3]}, weight: 0.5, form: wasserstein, r1: 0.3, gradient_penalty: 2}}
train: {steps: 4, batch_size: 20, players: {critic_discriminator: {steps: 2}}}
"""
