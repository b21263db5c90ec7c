"""A critic of patches."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.critic import Critic, leaky_layers
from aebuild.lang.families import Layer
from aebuild.lang.part import knob
from aebuild.lang.schedule import Duration
from aebuild.lang.terms import ModelTypes


def _layers() -> list[Any]:
    return leaky_layers("conv", 64, 128, kernel=4, stride=2)


class PatchGan(Critic):
    """A convolutional critic of the reconstruction's patches, or with `reads: pair` of those beside the input (Isola et al., 2017).

    Its verdicts, one for each place of its last grid, are averaged. As in VQGAN (Esser et al., 2021) it is a hinge whose weight
    adapts to the reconstruction's gradient at the decoder's output; let the reconstruction become good before its verdict counts
    (`start`). Its player is `critic_discriminator`.
    """

    type: Literal["patch_gan"] = "patch_gan"
    key = "critic"
    also = ("patchgan_discriminator", "vqgan", "nlayer_discriminator")
    patches = True
    players = ("critic_discriminator",)
    network: list[Layer] = Field(default_factory=_layers, description="hidden layers, a stage; the receptive field is the patch")
    start: Duration | None = knob("10%", "how long the model is trained before the critic's verdict counts", affects="loss")
    adaptive: bool = knob(True, "weigh the verdict by the ratio of its gradient to the reconstruction's, at the decoder's output",
                          affects="gradient")
    example: ClassVar[str] = """\
data: {type: digits, limit: 40}
encoder: {layer: conv, width: 6, stride: 2}
latent: {type: continuous, dim: 2, per: position}
losses: {critic: {type: patch_gan, network: [conv: {width: 4, kernel: 3, stride: 2}], weight: 0.1, start: 1 steps}}
train: {steps: 4, batch_size: 20}
---
data: {type: photos, patch: 8, count: 60}
corrupt: [grayscale]
encoder: {layer: conv, width: 4}
latent: {type: continuous, dim: 2, per: position}
losses: {critic: {type: patch_gan, reads: pair, network: [conv: {width: 4, kernel: 3, stride: 2}]}}
train: {steps: 4, batch_size: 20}
"""

    def check(self, types: ModelTypes) -> str | None:
        """Patches are of grids and sequences."""
        if self.reads not in ("output", "pair"):
            return "it judges patches of the reconstruction; a critic of codes is `gan`"
        if unlike := super().check(types):
            return unlike
        return None if types.target.places else f"patches are of a grid or a sequence, and the reconstruction is {types.target}"
