"""What all latents share: the projection to the code, and the protocol of encode, draw and play."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.randomness import Random


class Latent(Random):
    """The code between the halves.

    `steps` take the encoder's output to the code (adapters, projection, activation), each under its own name. A latent
    whose prior must be fitted has a method `fit(codes)` besides, to be called once with the codes of the training data.
    """

    def __init__(self, steps: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, step in steps.items():
            self.add_module(name, step)
        self.order = tuple(steps)

    @property
    def device(self) -> torch.device:
        """Where the latent's weights are."""
        return next(self.parameters()).device

    def project(self, h: Tensor) -> Tensor:
        """The encoder's output, [N, ...], through the steps."""
        for name in self.order:
            h = self.get_submodule(name)(h)
        return h

    def forward(self, h: Tensor) -> Code:
        """The code of the encoder's output."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def draw(self, n: int) -> Tensor:
        """`n` codes from the prior, on the latent's device."""
        raise TypeError(f"{type(self).__name__} has no prior")

    def play(self, player: str, h: Tensor) -> dict[str, Tensor]:
        """The terms that a player other than the autoencoder minimises."""
        raise ValueError(f"{type(self).__name__} has no player {player!r}")

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers from this module's generator."""
        return torch.randn(shape, generator=self.rng(self.device), device=self.device)
