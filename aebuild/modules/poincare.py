"""Codes in the Poincaré ball: wrapped normal posteriors and prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.places import from_rows, to_rows
from aebuild.modules.posteriors import Distribution
from aebuild.modules.priors import Prior

RIM = 1e-5        # how close to the rim a code comes, as a share of the radius


def norm(x: Tensor) -> Tensor:
    """Of rows [..., D], [..., 1], with a gradient at zero too."""
    return (x.square().sum(-1, keepdim=True) + 1e-15).sqrt()


def within(x: Tensor, curvature: float) -> Tensor:
    """Rows [..., D] no nearer to the rim than RIM."""
    most = (1 - RIM) / math.sqrt(curvature)
    length = norm(x)
    return torch.where(length > most, x * (most / length), x)


def from_origin(v: Tensor, curvature: float) -> Tensor:
    """The point at the distance |v| from the origin in the direction of v, [..., D]."""
    root, length = math.sqrt(curvature), norm(v)
    return within((root * length / 2).tanh() * v / (root * length), curvature)


def to_origin(z: Tensor, curvature: float) -> Tensor:
    """The inverse of `from_origin`."""
    root, length = math.sqrt(curvature), norm(z)
    return 2 * (root * length).clamp(max=1 - RIM).atanh() * z / (root * length)


def added(x: Tensor, y: Tensor, curvature: float) -> Tensor:
    """Möbius addition of [..., D] (Ungar, 2008)."""
    inner, x2, y2 = (x * y).sum(-1, keepdim=True), x.square().sum(-1, keepdim=True), y.square().sum(-1, keepdim=True)
    top = (1 + 2 * curvature * inner + curvature * y2) * x + (1 - curvature * x2) * y
    return within(top / (1 + 2 * curvature * inner + curvature ** 2 * x2 * y2), curvature)


def log_stretch(v: Tensor, curvature: float) -> Tensor:
    """(D − 1)·log(√c|v| / sinh √c|v|) of [..., D]: what a normal density loses where it is wrapped, [...]."""
    x = math.sqrt(curvature) * norm(v).squeeze(-1)
    return (v.shape[-1] - 1) * ((2 * x).log() - x - torch.log1p(-(-2 * x).exp()))


class WrappedNormal(Distribution):
    """exp_mean of a normal draw in the tangent space (Mathieu et al., 2019); rows [N, P, D].

    Densities are with respect to the ball's own measure.
    """

    def __init__(self, rows: Tensor, log_variance: Tensor, curvature: float, like: Tensor, axis: int) -> None:
        self.rows, self.log_variance, self.curvature, self.axis = rows, log_variance, curvature, axis
        self.mean = from_rows(rows, like, axis)
        self._noise: Tensor | None = None

    def sample(self, noise: Tensor) -> Tensor:
        """By reparameterisation."""
        draws = noise.shape[1]
        self._noise = to_rows(noise.flatten(0, 1), self.axis)
        v = self._tangent(draws)
        return from_rows(added(self.rows.repeat_interleave(draws, 0), from_origin(v, self.curvature), self.curvature), self.mean, self.axis)

    def log_q(self) -> Tensor:
        """Of each code as a whole."""
        assert self._noise is not None, "nothing was drawn"
        draws = len(self._noise) // len(self.rows)
        normal = -0.5 * (self._noise.square() + self.log_variance.repeat_interleave(draws, 0) + math.log(2 * math.pi))
        return normal.flatten(1).sum(1) + log_stretch(self._tangent(draws), self.curvature).sum(1)

    def _tangent(self, draws: int) -> Tensor:
        """Of the last draws, in units in which lengths are distances."""
        assert self._noise is not None, "nothing was drawn"
        return (0.5 * self.log_variance).exp().repeat_interleave(draws, 0) * self._noise


class WrappedNormalPosterior(nn.Module):
    """A vector that is walked from the origin to the mean, and log-variances, [D] each."""

    def __init__(self, axis: int, curvature: float) -> None:
        super().__init__()
        self.axis, self.curvature = axis, curvature

    def forward(self, numbers: Tensor) -> WrappedNormal:
        """The posteriors that the projection's output [N, ...] describes."""
        way, log_variance = to_rows(numbers, self.axis).chunk(2, -1)
        return WrappedNormal(from_origin(way, self.curvature), bounded_log_variance(log_variance), self.curvature, numbers, self.axis)


class WrappedNormalPrior(Prior):
    """A wrapped normal of standard deviation `std` around the origin."""

    def __init__(self, shape: Sequence[int], axis: int, std: float, curvature: float) -> None:
        super().__init__(shape)
        self.axis, self.std, self.curvature = axis, std, curvature

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        like = self.std * self.normal(n, *self.shape, device=device)
        return from_rows(from_origin(to_rows(like, self.axis), self.curvature), like, self.axis)

    def log_prob(self, codes: Tensor) -> Tensor:
        """Of each code as a whole, with respect to the ball's own measure."""
        v = to_origin(to_rows(codes, self.axis), self.curvature)
        normal = -0.5 * ((v / self.std).square() + math.log(2 * math.pi)) - math.log(self.std)
        return normal.flatten(1).sum(1) + log_stretch(v, self.curvature).sum(1)
