"""Modules that normalise, weigh, gate or add channels of grids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LayerNormByPlace(nn.LayerNorm):
    """LayerNorm over the channels of each place of a grid (Liu et al., ConvNeXt, 2022)."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, *S] to the same."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class RmsByPlace(nn.RMSNorm):
    """RMSNorm over the channels of each place of a grid (Zhang and Sennrich, 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to the same."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelScale(nn.Module):
    """Multiplies each channel of a grid of `axes` axes by a learned number that is `first` at the start (Touvron et al., 2021)."""

    def __init__(self, channels: int, axes: int, first: float) -> None:
        super().__init__()
        self.axes = axes
        self.weight = nn.Parameter(torch.full((channels,), first))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to the same."""
        return x * self.weight.view(-1, *(1,) * self.axes)


class SqueezeExcitation(nn.Module):
    """Gates each channel of a grid by what a small network makes of the means of all (Hu et al., 2018)."""

    def __init__(self, squeeze: nn.Module, excite: nn.Module) -> None:
        super().__init__()
        self.squeeze, self.rectify, self.excite = squeeze, nn.ReLU(), excite

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to the same."""
        gate = torch.sigmoid(self.excite(self.rectify(self.squeeze(x.flatten(2).mean(2)))))            # (N, C)
        return x * gate.view(*gate.shape, *(1,) * (x.ndim - 2))


class Coordinates(nn.Module):
    """Stacks the place along each axis, from -1 to 1, on the channels of a grid (Liu et al., 2018)."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to [N, C + axes, *S]."""
        rank = x.ndim - 2
        places = [_ticks(size, x).view(-1, *(1,) * (rank - 1 - axis)).expand(x.shape[0], 1, *x.shape[2:])
                  for axis, size in enumerate(x.shape[2:])]
        return torch.cat([x, *places], 1)


def _ticks(size: int, like: Tensor) -> Tensor:
    """Evenly from -1 to 1; the middle where there is one place."""
    ticks = 2 * torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1)
    return ticks / ticks.abs().amax().clamp_min(1)


class BlurPool(nn.Module):
    """Every `stride`th place of a grid that was smoothed by a binomial filter; borders are repeated (Zhang, 2019)."""

    filter: Tensor

    def __init__(self, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.stride = tuple(stride)
        self.margin = tuple(side for k in reversed(kernel) for side in ((k - 1) // 2, k // 2))
        smooth = torch.ones(())
        for taps in map(binomial, kernel):
            smooth = smooth.unsqueeze(-1) * taps
        self.register_buffer("filter", smooth, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to [N, C, *ceil(S / stride)]."""
        channels, rank = x.shape[1], len(self.stride)
        weight = self.filter.to(x.dtype).expand(channels, 1, *self.filter.shape)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        return convolve(F.pad(x, self.margin, mode="replicate"), weight, None, self.stride, groups=channels)


def binomial(taps: int) -> Tensor:
    """A row of Pascal's triangle, [taps], with the sum 1."""
    row = torch.ones(1)
    for _ in range(taps - 1):
        row = F.pad(row, (0, 1)) + F.pad(row, (1, 0))
    return row / row.sum()


class BroadcastTo(nn.Module):
    """A vector at every place of a grid (Watters et al., 2019)."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, x: Tensor) -> Tensor:
        """[N, D] to [N, D, *size]."""
        return x.view(*x.shape, *(1,) * len(self.size)).expand(*x.shape, *self.size)


class FourierFeatures(nn.Module):
    """Cosines and sines of random projections of the features on `axis` (Tancik et al., 2020).

    `frequencies`, [width / 2, features], are drawn once from N(0, `scale`²) and stay.
    """

    frequencies: Tensor

    def __init__(self, features: int, width: int, scale: float, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("frequencies", scale * torch.randn(width // 2, features))

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to the same with `width` features."""
        turns = 2 * torch.pi * F.linear(x.movedim(self.axis, -1), self.frequencies)
        return torch.cat([turns.cos(), turns.sin()], -1).movedim(-1, self.axis)
