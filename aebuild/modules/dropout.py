"""Dropout with random numbers of its own."""

from __future__ import annotations

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
        keep = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.rng(x.device))
        return x * keep / (1 - self.rate)

    def extra_repr(self) -> str:
        """The rate."""
        return f"{self.rate}"
