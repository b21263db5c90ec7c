"""Inverse autoregressive flows (Kingma et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

OPEN = 2.0        # added to the gates, so that a new flow is near the identity


class MaskedLinear(nn.Linear):
    """A linear map of which only what the mask lets through counts (MADE, Germain et al., 2015)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[M, inputs] to [M, outputs]."""
        return F.linear(x, self.weight * self.mask, self.bias)


class InverseAutoregressive(nn.Module):
    """y = g·x + (1 − g)·m with a gate g and m of each value from those before it and from what it is told, [M, C].

    With `backwards` the values before are those behind.
    """

    def __init__(self, features: int, told: int, width: int, *, backwards: bool) -> None:
        super().__init__()
        self.order = list(range(1, features + 1))[::-1 if backwards else 1]
        order = torch.tensor(self.order)
        hidden = torch.arange(width) % features                  # units that see so many values; some see none but what is told
        self.told = nn.Linear(told, width, bias=False)
        self.inner = MaskedLinear((hidden.unsqueeze(1) >= order).float())
        self.outer = MaskedLinear((order.repeat(2).unsqueeze(1) > hidden).float())

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """[M, D] to [M, D] and log|det J|, [M]."""
        shift, gate = self._numbers(x, told)
        return gate.sigmoid() * x + (-gate).sigmoid() * shift, F.logsigmoid(gate).sum(1)

    def inverse(self, y: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Back, one value after the other."""
        x = torch.zeros_like(y)
        for place in sorted(range(len(self.order)), key=self.order.__getitem__):
            shift, gate = self._numbers(x, told)
            found = (y - (-gate).sigmoid() * shift) / gate.sigmoid()
            x = x.index_copy(1, torch.tensor([place], device=x.device), found[:, place:place + 1])
        return x, -F.logsigmoid(self._numbers(x, told)[1]).sum(1)

    def _numbers(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        shift, gate = self.outer(F.elu(self.inner(x) + self.told(told))).chunk(2, 1)
        return shift, gate + OPEN
