"""Nonlinearities with learned numbers for each channel."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn


def along(numbers: Tensor, x: Tensor, axis: int) -> Tensor:
    """One number or flag for each channel, [C], as it multiplies or marks x with channels on that axis."""
    return numbers.view(-1, *(1,) * (x.ndim - 1 - axis % x.ndim))


class PReLU(nn.Module):
    """x above zero, `weight`·x below, for channels on `axis` (He et al., 2015)."""

    def __init__(self, channels: int, axis: int, slope: float) -> None:
        super().__init__()
        self.axis = axis
        self.weight = nn.Parameter(torch.full((channels,), slope))

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to the same."""
        return torch.where(x > 0, x, along(self.weight, x, self.axis) * x)


class Snake(nn.Module):
    """x + sin²(αx)/α for channels on `axis`, α = exp `log_alpha` (Ziyin et al., 2020)."""

    def __init__(self, channels: int, axis: int, alpha: float) -> None:
        super().__init__()
        self.axis = axis
        self.log_alpha = nn.Parameter(torch.full((channels,), log(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to the same."""
        alpha = along(self.log_alpha.exp(), x, self.axis)
        return x + (alpha * x).sin().square() / alpha
