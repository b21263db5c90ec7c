"""The logarithm of counts."""

from __future__ import annotations

from torch import Tensor, nn


class Log1p(nn.Module):
    """ln(1 + x), what is below 0 as 0; each sample is brought to the sum `total` first, if one is given and it has any count."""

    def __init__(self, total: float | None = None) -> None:
        super().__init__()
        self.total = total

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to the same."""
        x = x.clamp(min=0)
        if self.total is not None:
            each = x.flatten(1).sum(1).clamp(min=1e-8).view(-1, *(1,) * (x.ndim - 1))
            x = x * (self.total / each)
        return x.log1p()
