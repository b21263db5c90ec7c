"""Dropout with random numbers of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from aebuild.modules.randomness import Random
from aebuild.modules.together import own, whole


class Dropout(Random):
    """Zeroes a share `rate` of the values while training and scales the rest by 1/(1-rate)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        if not self.training or self.rate == 0:
            return x
        keep = own(_blank(x).bernoulli_(1 - self.rate, generator=self.rng(x.device)))
        return x * keep / (1 - self.rate)

    def extra_repr(self) -> str:
        """The rate."""
        return f"{self.rate}"


def _blank(x: Tensor) -> Tensor:
    """An empty tensor for the whole batch, laid out in memory like this part of it."""
    return torch.empty_like(x[:1].expand(whole(x.shape[0]), *x.shape[1:]) if whole(x.shape[0]) != x.shape[0] else x)
