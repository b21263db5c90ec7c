"""PatchGAN (Isola et al., 2017): a convolutional critic that judges patches of reconstructions."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.critic import Critic
from aebuild.lang.families import Layer


def _layers() -> list[Any]:
    return [Layer.variants["conv"].model_validate({"width": width, "kernel": 4, "stride": 2}) for width in (16, 32)]


class PatchGan(Critic):
    """A convolutional critic whose verdicts on patches of the reconstruction are averaged (Isola et al., 2017)."""

    type: Literal["patchgan"] = "patchgan"
    key = "critic"
    patches = True
    players = ("critic_discriminator",)
    network: list[Layer] = Field(default_factory=_layers, description="hidden layers, a stage")
    example: ClassVar[str] = """\
data: digits
encoder: {layer: conv, width: 8, stride: 2}
latent: {type: codebook, codes: 32, dim: 4, update: ema}
losses: {critic: {type: patchgan, weight: 0.1, start: 4 steps, adaptive: true}}
"""
