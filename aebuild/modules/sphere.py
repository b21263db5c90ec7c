"""Codes on the unit sphere: von Mises-Fisher posteriors and the uniform prior."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.places import from_rows, to_rows
from aebuild.modules.posteriors import Distribution
from aebuild.modules.priors import Prior

NODES = 128                 # of Gauss-Legendre quadrature
PROPOSALS = 16              # of which one in three or fewer is rejected: that all are has probability below 1e-7
SHARPEST = 1e4              # largest concentration


@cache
def _legendre() -> tuple[list[float], list[float]]:
    """Nodes and weights of Gauss-Legendre quadrature on [0, 1], by Newton's iteration on the polynomial."""
    nodes, weights = [], []
    for i in range(NODES):
        x = math.cos(math.pi * (i + 0.75) / (NODES + 0.5))
        for _ in range(100):
            before, value = 1.0, x
            for k in range(2, NODES + 1):
                before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
            slope = NODES * (x * value - before) / (x * x - 1)
            step = value / slope
            x -= step
            if abs(step) < 1e-15:
                break
        nodes.append((1 - x) / 2)
        weights.append(1 / ((1 - x * x) * slope * slope))
    return nodes, weights


def quadrature(like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1], [NODES] each, where that tensor is."""
    nodes, weights = _legendre()
    return like.new_tensor(nodes), like.new_tensor(weights)


def log_partition(concentration: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """log ∫ exp(κ(cos θ − 1)) sin^(dim−2) θ dθ over [0, π], and E[cos θ] − 1 under that density; both like κ [...] and differentiable.

    What the ratio of Bessel functions of order dim/2 and dim/2 − 1 is, without them.
    """
    nodes, weights = quadrature(concentration)
    widest = torch.arccos((1 - (40 + 2 * dim) / concentration.detach()).clamp(min=-1)).unsqueeze(-1)            # beyond it is nothing
    angle = widest * nodes
    fall = -2 * (angle / 2).sin().square()                                                                    # cos θ − 1
    log_mass = weights.log() + widest.log() + concentration.unsqueeze(-1) * fall + (dim - 2) * angle.sin().clamp(min=1e-30).log()
    total = log_mass.logsumexp(-1)
    return total, ((log_mass - total.unsqueeze(-1)).exp() * fall).sum(-1)


def log_area(dim: int) -> float:
    """Of the unit sphere in `dim` dimensions."""
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)


def height_slope(height: Tensor, concentration: Tensor, dim: int) -> Tensor:
    """How a draw of cos θ moves with κ where its probability of being exceeded stays, dw/dκ = −(∂F/∂κ)/f; both are [...].

    By implicit reparameterisation (Figurnov et al., 2018), with the integral from the side where the density falls off.
    """
    nodes, weights = quadrature(height)
    angle = torch.arccos(height.clamp(-1 + 1e-7, 1 - 1e-7))
    mean = 1 + log_partition(concentration, dim)[1]
    top = (((dim - 2) ** 2 + 4 * concentration.square()).sqrt() - (dim - 2)) / (2 * concentration)               # cos of the mode
    inner = height > top
    end = torch.where(inner, torch.zeros_like(angle), torch.full_like(angle, math.pi))
    at = angle.unsqueeze(-1) + (end - angle).unsqueeze(-1) * nodes
    ratio = concentration.unsqueeze(-1) * (at.cos() - height.unsqueeze(-1))
    ratio = ratio + (dim - 2) * (at.sin().clamp(min=1e-30).log() - angle.sin().log().unsqueeze(-1))
    integral = ((at.cos() - mean.unsqueeze(-1)) * ratio.exp() * weights).sum(-1) * (angle - end)
    return angle.sin() * integral


class VonMisesFisher(Distribution):
    """Density proportional to exp(κ·μᵀz) on the unit sphere at each place; directions [N, P, D] and κ [N, P]."""

    def __init__(self, direction: Tensor, concentration: Tensor, like: Tensor, axis: int) -> None:
        self.direction, self.concentration, self.axis = direction, concentration, axis
        self.mean = from_rows(direction, like, axis)           # the most probable code, which is on the sphere as the expectation is not
        self._height: Tensor | None = None

    def noise(self, drawn: Callable[..., Tensor], draws: int) -> Tensor:
        """Standard normal: for each proposal a height and a chance, and a direction."""
        count, places, dim = self.direction.shape
        shape = (count, draws, places, PROPOSALS * (dim + 1) + dim)
        return drawn(torch.randn, shape, self.direction.device, dtype=self.direction.dtype)

    def sample(self, noise: Tensor) -> Tensor:
        """By rejection for the height over the direction's plane (Wood, 1994; Davidson et al., 2018), and by any direction in the plane."""
        draws, dim = noise.shape[1], self.direction.shape[2]
        direction, concentration = (each.repeat_interleave(draws, 0) for each in (self.direction, self.concentration))
        noise = noise.flatten(0, 1)                                                                           # (M, P, ...)
        proposals, aside = torch.unflatten(noise[..., :-dim], -1, (PROPOSALS, dim + 1)), noise[..., -dim:]
        with torch.no_grad():
            height = _accepted(proposals, concentration, dim)
            slope = height_slope(height, concentration, dim)
        height = height + slope * (concentration - concentration.detach())
        aside = aside - (aside * direction).sum(-1, keepdim=True) * direction
        aside = F.normalize(aside, dim=-1) * (1 - height.square()).clamp(min=1e-12).sqrt().unsqueeze(-1)
        self._height = height
        return from_rows(height.unsqueeze(-1) * direction + aside, self.mean, self.axis)

    def log_q(self) -> Tensor:
        """Of each code as a whole."""
        assert self._height is not None, "nothing was drawn"
        draws = len(self._height) // len(self.direction)
        dim, total = self.direction.shape[2], log_partition(self.concentration, self.direction.shape[2])[0]
        constant = (total + log_area(dim - 1)).repeat_interleave(draws, 0)
        return (self.concentration.repeat_interleave(draws, 0) * (self._height - 1) - constant).sum(1)

    def kl_to_uniform(self) -> Tensor:
        """Of each code as a whole: κ(E[cos θ] − 1) less the logarithm of what the density is divided by, and of the sphere's area."""
        dim = self.direction.shape[2]
        total, fall = log_partition(self.concentration, dim)
        return (self.concentration * fall - total - log_area(dim - 1) + log_area(dim)).sum(1)


def _accepted(proposals: Tensor, concentration: Tensor, dim: int) -> Tensor:
    """The first proposal that is accepted, of [M, P, PROPOSALS, dim + 1] standard normal numbers; [M, P]."""
    kappa, free = concentration.unsqueeze(-1), dim - 1
    root = (4 * kappa.square() + free ** 2).sqrt()
    b = free / (2 * kappa + root)
    a = (free + 2 * kappa + root) / 4
    share = (1 + F.normalize(proposals[..., :dim], dim=-1)[..., 0]) / 2                # Beta(free/2, free/2)
    height = (1 - (1 + b) * share) / (1 - (1 - b) * share)
    t = 2 * a * b / (1 - (1 - b) * share)
    taken = free * t.log() - t + 4 * a * b / (1 + b) - free * math.log(free) >= torch.special.log_ndtr(proposals[..., dim])
    first = taken.to(torch.uint8).argmax(-1, keepdim=True)
    return height.gather(-1, first).squeeze(-1)


class VonMisesFisherPosterior(nn.Module):
    """A direction, [D], and one number that softplus makes a concentration above 1 of."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, numbers: Tensor) -> VonMisesFisher:
        """The posteriors that the projection's output [N, ...] describes."""
        rows = to_rows(numbers, self.axis)
        direction = F.normalize(rows[..., :-1], dim=-1)
        return VonMisesFisher(direction, bounded(1 + F.softplus(rows[..., -1]), 1.0, SHARPEST), numbers, self.axis)


class UniformSphere(Prior):
    """Uniform on the unit sphere at each place of a code [n, *shape] with features on `axis`."""

    def __init__(self, shape: Sequence[int], axis: int) -> None:
        super().__init__(shape)
        self.axis = axis

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        return F.normalize(self.normal(n, *self.shape, device=device), dim=self.axis)

    def log_prob(self, codes: Tensor) -> Tensor:
        """Of each code as a whole; the sphere's own measure."""
        dim = codes.shape[self.axis]
        return codes.new_full((len(codes),), -log_area(dim) * (codes[0].numel() // dim))

    def kl(self, posterior: Distribution) -> Tensor | None:
        """Known for von Mises-Fisher posteriors."""
        return posterior.kl_to_uniform()
