"""Distributions of codes: pulled to, drawn from, fitted or learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.codebook_updates import tally
from aebuild.modules.metric import Metric
from aebuild.modules.posteriors import Distribution
from aebuild.modules.randomness import Random


class Prior(Random):
    """A distribution of codes, [n, *shape]: real vectors, or indices int64 [n, length].

    One that is made of posteriors gets what gives them from `meet`, and before a training `held` of its samples from `begin`.
    """

    held = 0

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def given(self, context: dict[str, Any]) -> Prior:
        """The distribution for samples of which the context says more than their values; by default the same one for all."""
        return self

    def meet(self, posterior_of: Callable[[Tensor], Distribution]) -> None:
        """What gives the posteriors of samples [n, ...], as the model takes them."""

    def begin(self, samples: Tensor) -> None:
        """Samples of the training data, [held or fewer, ...], as the encoder takes them, once before a training."""
        raise TypeError(f"{type(self).__name__} wants no samples")

    def metric(self, subset: int) -> Metric:
        """That of the codes, of `subset` samples in training, in which posteriors can move."""
        raise TypeError(f"{type(self).__name__} has no metric")

    def draw(self, n: int, device: torch.device) -> Tensor:
        """`n` independent draws on that device."""
        raise TypeError(f"{type(self).__name__} has no draws")

    def log_prob(self, codes: Tensor) -> Tensor:
        """Log-density in nats: for each value of the code, [N, *shape], where these are independent, else of the whole code, [N]."""
        raise TypeError(f"{type(self).__name__} has no density")

    def surprise(self, codes: Tensor) -> Tensor:
        """Nats of surprise at the codes, shaped like `log_prob`, or a bound of them: what one that is learned from codes minimises."""
        return -self.log_prob(codes)

    def kl(self, posterior: Distribution) -> Tensor | None:
        """KL of the posteriors to it in closed form, shaped like `log_prob`; None where none is known."""
        return None

    def divergence(self, posterior: Distribution, value: Tensor, *, closed: bool = True) -> Tensor:
        """KL of the posteriors to it, in closed form where one is known, else log q − log p of the codes `value` drawn from them.

        For each value of the code, [N, *shape], where both are independent over them, else of the whole code, [N].
        """
        known = self.kl(posterior) if closed else None
        if known is not None:
            return known
        log_q, log_p = posterior.log_q(), self.log_prob(value)
        if log_q.ndim != log_p.ndim:
            log_q, log_p = (each.flatten(1).sum(1) if each.ndim > 1 else each for each in (log_q, log_p))
        return log_q - log_p

    def fit(self, codes: Iterable[Tensor]) -> None:
        """Learns from the codes of the training data, which come in blocks [n, *shape], anew each time they are gone through."""
        raise TypeError(f"{type(self).__name__} is not fitted")

    def uniform(self, n: int, columns: int, device: torch.device) -> Tensor:
        """Numbers in [0, 1), [n, columns]."""
        return self.drawn(torch.rand, (n, columns), device)

    def normal(self, n: int, *shape: int, device: torch.device) -> Tensor:
        """Standard normal numbers, [n, *shape]."""
        return self.drawn(torch.randn, (n, *shape), device)

    def choice(self, n: int, options: int, device: torch.device) -> Tensor:
        """Whole numbers below `options`, [n]."""
        return self.drawn(partial(torch.randint, options), (n,), device)


class GaussianPrior(Prior):
    """N(0, std²·I)."""

    def __init__(self, shape: Sequence[int], std: float) -> None:
        super().__init__(shape)
        self.std = std

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        return self.std * self.normal(n, *self.shape, device=device)

    def log_prob(self, codes: Tensor) -> Tensor:
        """For each value of the code."""
        return -0.5 * ((codes / self.std).square() + math.log(2 * math.pi)) - math.log(self.std)

    def kl(self, posterior: Distribution) -> Tensor | None:
        """Known for Gaussians."""
        return posterior.kl_to_gaussian(self.std)


class UniformPrior(Prior):
    """Uniform on the cube [low, high)."""

    def __init__(self, shape: Sequence[int], low: float, high: float) -> None:
        super().__init__(shape)
        self.low, self.high = low, high

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        flat = self.low + (self.high - self.low) * self.uniform(n, prod(self.shape), device)
        return flat.view(n, *self.shape)


class PetalsPrior(Prior):
    """Gaussians on a circle like the petals of a flower, in the plane.

    Each has its own direction from the origin, its centre at `radius`, the standard deviation `std` along that direction
    and `across` at right angles to it.
    """

    def __init__(self, components: int, radius: float, std: float, across: float) -> None:
        super().__init__((2,))
        self.components = components
        self.radius, self.std, self.across = radius, std, across

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, 2]."""
        angle = self.choice(n, self.components, device) * (2 * math.pi / self.components)
        noise = self.normal(n, 2, device=device)
        along, aside = self.radius + self.std * noise[:, 0], self.across * noise[:, 1]
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([along * cos - aside * sin, along * sin + aside * cos], 1)

    def log_prob(self, codes: Tensor) -> Tensor:
        """[N], by the frame of each petal."""
        angle = torch.arange(self.components, device=codes.device) * (2 * math.pi / self.components)
        cos, sin = angle.cos(), angle.sin()
        x, y = codes[:, :1], codes[:, 1:]
        along, aside = (x * cos + y * sin - self.radius) / self.std, (y * cos - x * sin) / self.across       # (N, components)
        density = -0.5 * (along.square() + aside.square()) - math.log(2 * math.pi * self.std * self.across)
        log_prob: Tensor = density.logsumexp(1) - math.log(self.components)
        return log_prob


class SwissRollPrior(Prior):
    """A spiral of `turns` from the origin out to `radius`, in the plane, blurred by `std`; even along its length."""

    def __init__(self, turns: float, radius: float, std: float) -> None:
        super().__init__((2,))
        self.turns, self.radius, self.std = turns, radius, std

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, 2]."""
        share = self.uniform(n, 1, device).sqrt()           # arc length grows as the square of the share of turns
        angle = share * (2 * math.pi * self.turns)
        curve = self.radius * share * torch.cat([angle.cos(), angle.sin()], 1)
        return curve + self.std * self.normal(n, 2, device=device)


class CategoricalPrior(Prior):
    """One-hot vectors, all categories equally likely."""

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, dim]."""
        dim, = self.shape
        return torch.nn.functional.one_hot(self.choice(n, dim, device), dim).to(torch.get_default_dtype())


class JoinedPrior(Prior):
    """Independent parts of a code, side by side, each with its own distribution of vectors."""

    def __init__(self, parts: Sequence[Prior]) -> None:
        super().__init__((sum(prod(part.shape) for part in parts),))
        self.parts: Sequence[Prior] = nn.ModuleList(parts)  # type: ignore[assignment]

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, D]."""
        return torch.cat([part.draw(n, device) for part in self.parts], 1)


class FittedGaussian(Prior):
    """The Gaussian of greatest likelihood for the codes of the training data; N(0, I) before it is fitted.

    `mean` is [D] for codes of D values, `factor` with `full` the F of a covariance F·Fᵀ, [D, D], else standard deviations, [D].
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, shape: Sequence[int], *, full: bool) -> None:
        super().__init__(shape)
        size = prod(self.shape)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("factor", torch.eye(size) if full else torch.ones(size))

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        noise = self.normal(n, self.mean.numel(), device=device)                         # (n, D)
        spread = noise @ self.factor.T if self.factor.ndim == 2 else noise * self.factor
        return (self.mean + spread).view(n, *self.shape)

    @torch.no_grad()
    def fit(self, codes: Iterable[Tensor]) -> None:
        """In float64, block by block: the mean first, then the moments around it."""
        count, mean = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        for block in codes:
            count += len(block)
            mean += block.flatten(1).sum(0, dtype=torch.float64)
        mean /= count
        moment = torch.zeros_like(self.factor, dtype=torch.float64)
        for block in codes:
            centred = block.flatten(1).double() - mean                                   # (n, D)
            moment += centred.T @ centred if moment.ndim == 2 else centred.square().sum(0)
        moment /= count
        self.mean.copy_(mean)
        self.factor.copy_(_root(moment) if moment.ndim == 2 else moment.sqrt())


def _root(covariance: Tensor) -> Tensor:
    values, axes = torch.linalg.eigh(covariance)         # unlike Cholesky, at home with constant features
    root: Tensor = axes * values.clamp(min=0).sqrt()
    return root


class UniformIndices(Prior):
    """Every index below `classes` equally likely, independently."""

    def __init__(self, length: int, classes: int) -> None:
        super().__init__((length,))
        self.classes = classes

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, length]."""
        return self.drawn(partial(torch.randint, self.classes), (n, *self.shape), device)

    def log_prob(self, codes: Tensor) -> Tensor:
        """For each index."""
        return torch.full(codes.shape, -math.log(self.classes), device=codes.device)


class EmpiricalIndices(Prior):
    """How often each index is used at its place in the codes of the training data, independently.

    `frequencies`, [length, classes], are uniform until `fit`.
    """

    frequencies: Tensor

    def __init__(self, length: int, classes: int) -> None:
        super().__init__((length,))
        self.register_buffer("frequencies", torch.full((length, classes), 1 / classes))

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, length]."""
        below = self.frequencies.double().cumsum(1)
        below = below / below[:, -1:]
        chance = self.drawn(torch.rand, (n, len(below)), device, dtype=below.dtype).t().contiguous()
        return torch.searchsorted(below, chance, right=True).t().contiguous()

    def log_prob(self, codes: Tensor) -> Tensor:
        """For each index."""
        return self.frequencies.log().expand(len(codes), -1, -1).gather(2, codes.unsqueeze(2)).squeeze(2)

    @torch.no_grad()
    def fit(self, codes: Iterable[Tensor]) -> None:
        """Counts."""
        counts, seen = torch.zeros_like(self.frequencies), 0
        for block in codes:
            counts += tally(block.t().contiguous(), counts.shape[1])
            seen += len(block)
        self.frequencies.copy_(counts / seen)
