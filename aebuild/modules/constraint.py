"""A term held to a target by a Lagrange multiplier."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

FARTHEST = 20.0          # the logarithm of the multiplier is held between this and its negative


class Constraint(nn.Module):
    """λ·(term − target) of each sample, where λ follows the moving average of the term (Rezende and Viola, 2018).

    After each batch ln λ grows by `rate`·(average / target − 1); it begins at 0.
    """

    log_multiplier: Tensor
    average: Tensor

    def __init__(self, target: float, rate: float, decay: float) -> None:
        super().__init__()
        self.target, self.rate, self.decay = target, rate, decay
        self.register_buffer("log_multiplier", torch.zeros(()))
        self.register_buffer("average", torch.full((), torch.nan))          # before the first batch

    def forward(self, terms: Mapping[str, Tensor]) -> Tensor:
        """{name: [N, draws]} to [N]."""
        excess = torch.stack([term.mean(1) for term in terms.values()]).sum(0) - self.target
        return self.log_multiplier.exp() * excess

    def figures(self) -> dict[str, Tensor]:
        """The `multiplier` λ."""
        return {"multiplier": self.log_multiplier.exp()}

    @torch.no_grad()
    def observe(self, means: Mapping[str, Tensor]) -> None:
        """Moves the multiplier by the terms' means over a batch that was just trained on."""
        mean = torch.stack(list(means.values())).sum(0)
        kept = torch.where(self.average.isnan(), mean, self.average)
        self.average.copy_(kept * self.decay + mean * (1 - self.decay))
        self.log_multiplier.add_(self.rate * (self.average / self.target - 1)).clamp_(-FARTHEST, FARTHEST)
