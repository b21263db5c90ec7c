"""Distributions that an adversarial code is pushed to."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from aebuild.modules.randomness import Random


class Prior(Random):
    """A distribution of codes, [n, dim]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def draw(self, n: int, device: torch.device) -> Tensor:
        """`n` independent draws on that device."""
        raise TypeError(f"{type(self).__name__} has no draws")

    def uniform(self, n: int, columns: int, device: torch.device) -> Tensor:
        """Numbers in [0, 1), [n, columns]."""
        return self.drawn(torch.rand, (n, columns), device)

    def normal(self, n: int, columns: int, device: torch.device) -> Tensor:
        """Standard normal numbers, [n, columns]."""
        return self.drawn(torch.randn, (n, columns), device)

    def choice(self, n: int, options: int, device: torch.device) -> Tensor:
        """Whole numbers below `options`, [n]."""
        return self.drawn(partial(torch.randint, options), (n,), device)


class GaussianPrior(Prior):
    """N(0, std²·I)."""

    def __init__(self, dim: int, std: float) -> None:
        super().__init__(dim)
        self.std = std

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, dim]."""
        return self.std * self.normal(n, self.dim, device)


class UniformPrior(Prior):
    """Uniform on the cube [low, high)."""

    def __init__(self, dim: int, low: float, high: float) -> None:
        super().__init__(dim)
        self.low, self.high = low, high

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, dim]."""
        return self.low + (self.high - self.low) * self.uniform(n, self.dim, device)


class MixturePrior(Prior):
    """Gaussians on a circle like the petals of a flower, in the plane.

    Each has its own direction from the origin, its centre at `radius`, the standard deviation `std` along that direction
    and `across` at right angles to it.
    """

    def __init__(self, components: int, radius: float, std: float, across: float) -> None:
        super().__init__(2)
        self.components = components
        self.radius, self.std, self.across = radius, std, across

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, 2]."""
        angle = self.choice(n, self.components, device) * (2 * math.pi / self.components)
        noise = self.normal(n, 2, device)
        along, aside = self.radius + self.std * noise[:, 0], self.across * noise[:, 1]
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([along * cos - aside * sin, along * sin + aside * cos], 1)


class SwissRollPrior(Prior):
    """A spiral of `turns` from the origin out to `radius`, in the plane, blurred by `std`; even along its length."""

    def __init__(self, turns: float, radius: float, std: float) -> None:
        super().__init__(2)
        self.turns, self.radius, self.std = turns, radius, std

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, 2]."""
        share = self.uniform(n, 1, device).sqrt()           # arc length grows as the square of the share of turns
        angle = share * (2 * math.pi * self.turns)
        curve = self.radius * share * torch.cat([angle.cos(), angle.sin()], 1)
        return curve + self.std * self.normal(n, 2, device)


class CategoricalPrior(Prior):
    """One-hot vectors, all categories equally likely."""

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, dim]."""
        return torch.nn.functional.one_hot(self.choice(n, self.dim, device), self.dim).to(torch.get_default_dtype())
