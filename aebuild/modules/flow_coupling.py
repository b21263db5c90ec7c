"""Coupling flows: one half of the values is bent by what the other half says."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST_BIN = 1e-3        # width, height and slope of a spline's bin, as shares of the whole


class Coupling(nn.Module):
    """Leaves the first half [M, A] as it is and bends the second by a network of it and of what it is told, [M, C].

    With `backwards` the halves change places. The larger half is the one that is bent.
    """

    def __init__(self, features: int, told: int, width: int, numbers: int, *, backwards: bool) -> None:
        super().__init__()
        self.kept, self.backwards = features // 2, backwards
        self.net = nn.Sequential(nn.Linear(self.kept + told, width), nn.ReLU(), nn.Linear(width, numbers * (features - self.kept)))

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """[M, D] to [M, D] and log|det J|, [M]."""
        kept, bent, numbers = self._halves(x, told)
        bent, volume = self.bend(bent, numbers)
        return self._joined(kept, bent), volume.sum(1)

    def inverse(self, y: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Back."""
        kept, bent, numbers = self._halves(y, told)
        bent, volume = self.unbend(bent, numbers)
        return self._joined(kept, bent), -volume.sum(1)

    def bend(self, x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Values [M, B] by numbers [M, B, K], and the logarithm of the slope there, [M, B]."""
        raise TypeError(f"{type(self).__name__} bends nothing")

    def unbend(self, y: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Back, and the logarithm of the slope of `bend` there."""
        raise TypeError(f"{type(self).__name__} bends nothing")

    def _halves(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = x.flip(1) if self.backwards else x
        kept, bent = x[:, :self.kept], x[:, self.kept:]
        return kept, bent, self.net(torch.cat([kept, told], 1)).view(x.shape[0], bent.shape[1], -1)

    def _joined(self, kept: Tensor, bent: Tensor) -> Tensor:
        whole = torch.cat([kept, bent], 1)
        return whole.flip(1) if self.backwards else whole


class AffineCoupling(Coupling):
    """y = x·exp(tanh s) + t (RealNVP, Dinh et al., 2017)."""

    def __init__(self, features: int, told: int, width: int, *, backwards: bool) -> None:
        super().__init__(features, told, width, 2, backwards=backwards)

    def bend(self, x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled and moved."""
        log_scale = numbers[..., 0].tanh()
        return x * log_scale.exp() + numbers[..., 1], log_scale

    def unbend(self, y: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Moved back and scaled back."""
        log_scale = numbers[..., 0].tanh()
        return (y - numbers[..., 1]) * (-log_scale).exp(), log_scale


class SplineCoupling(Coupling):
    """A monotone spline of rational quadratics on [-bound, bound], the identity beyond (Durkan et al., 2019)."""

    def __init__(self, features: int, told: int, width: int, bins: int, bound: float, *, backwards: bool) -> None:
        super().__init__(features, told, width, 3 * bins - 1, backwards=backwards)
        self.bins, self.bound = bins, bound

    def bend(self, x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Along the spline."""
        return spline(x, *knots(numbers, self.bins, self.bound), backwards=False)

    def unbend(self, y: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The other way."""
        return spline(y, *knots(numbers, self.bins, self.bound), backwards=True)


def knots(numbers: Tensor, bins: int, bound: float) -> tuple[Tensor, Tensor, Tensor]:
    """Places, heights and slopes of a spline's knots, [..., bins + 1], from free numbers, [..., 3·bins − 1]."""
    widths, heights, slopes = torch.split(numbers, [bins, bins, bins - 1], -1)
    shares = [SMALLEST_BIN + (1 - SMALLEST_BIN * bins) * free.softmax(-1) for free in (widths, heights)]
    places = [2 * bound * F.pad(each.cumsum(-1), (1, 0)) - bound for each in shares]
    inner = SMALLEST_BIN + F.softplus(slopes + math.log(math.expm1(1 - SMALLEST_BIN)))              # free numbers of 0 are slopes of 1
    return places[0], places[1], F.pad(inner, (1, 1), value=1.0)


def spline(x: Tensor, places: Tensor, heights: Tensor, slopes: Tensor, *, backwards: bool) -> tuple[Tensor, Tensor]:
    """Values [...] along the spline, or with `backwards` against it, and the logarithm of its slope there, [...]."""
    axis = heights if backwards else places
    inside = (x > axis[..., 0]) & (x < axis[..., -1])
    safe = torch.where(inside, x, (axis[..., 0] + axis[..., -1]) / 2)
    left = (torch.searchsorted(axis.detach().contiguous(), safe.detach().unsqueeze(-1), right=True) - 1).clamp(0, axis.shape[-1] - 2)

    def at(knots: Tensor, step: int = 0) -> Tensor:
        return knots.gather(-1, left + step).squeeze(-1)

    x0, width = at(places), at(places, 1) - at(places)
    y0, height = at(heights), at(heights, 1) - at(heights)
    d0, d1, rise = at(slopes), at(slopes, 1), height / width
    bow = d0 + d1 - 2 * rise
    if backwards:
        above = safe - y0
        a, b, c = height * (rise - d0) + above * bow, height * d0 - above * bow, -rise * above
        share = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
        found = x0 + share * width
    else:
        share = (safe - x0) / width
        found = y0 + height * (rise * share.square() + d0 * share * (1 - share)) / (rise + bow * share * (1 - share))
    rest = 1 - share
    slope = rise.square() * (d1 * share.square() + 2 * rise * share * rest + d0 * rest.square()) / (rise + bow * share * rest).square()
    return torch.where(inside, found, x), torch.where(inside, slope.log(), torch.zeros_like(x))
