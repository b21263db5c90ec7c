"""Divisive normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_DIVISOR = 1e-6           # β is at least this
ALONE = 0.1            # a new γ of a channel with itself
OTHERS = 1e-4          # and with others


class DivisiveNorm(nn.Module):
    """Channels on `axis` divided by √(β + γ·x²), the `inverse` multiplied by it (Ballé et al., 2016).

    β = `root_beta`² + 1e-6, [C], and γ = `root_gamma`², [C, C], are positive whatever is learned.
    """

    def __init__(self, channels: int, axis: int, *, inverse: bool) -> None:
        super().__init__()
        self.axis, self.inverse = axis, inverse
        self.root_beta = nn.Parameter(torch.ones(channels))
        self.root_gamma = nn.Parameter((OTHERS + (ALONE - OTHERS) * torch.eye(channels)).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to the same."""
        last = x.movedim(self.axis, -1)
        norm = F.linear(last.square(), self.root_gamma.square(), self.root_beta.square() + LEAST_DIVISOR)
        scaled = last * norm.sqrt() if self.inverse else last * norm.rsqrt()
        return scaled.movedim(-1, self.axis)
