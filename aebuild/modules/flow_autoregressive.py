"""Inverse autoregressive flows (Kingma et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.masked_linear import MaskedLinear

OPEN = 2.0        # added to the gates, so that a new flow is near the identity


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
        self.inner = MaskedLinear(hidden.unsqueeze(1) >= order)
        self.outer = MaskedLinear(order.repeat(2).unsqueeze(1) > hidden)

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
