"""Dropout with random numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aebuild.modules.randomness import Random


class Dropout(Random):
    """Zeroes a share `rate` of the values while training and scales the rest by 1/(1-rate)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        if not self.training or self.rate == 0:
            return x
        keep = self.drawn(_coins, x.shape, x.device, dtype=x.dtype, share=1 - self.rate)
        return x * keep / (1 - self.rate)

    def extra_repr(self) -> str:
        """The rate."""
        return f"{self.rate}"


def _coins(shape: Sequence[int], *, generator: torch.Generator, device: torch.device, dtype: torch.dtype, share: float) -> Tensor:
    """1 with the chance `share`, else 0; drawn in the order of the axes, in whatever format the values lie in memory."""
    return torch.empty(shape, device=device, dtype=dtype).bernoulli_(share, generator=generator)
