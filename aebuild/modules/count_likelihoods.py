"""Likelihoods of counts: Poisson, negative binomial with and without inflated zeros, multinomial.

Their parameters are logarithms of rates, which `linked` makes of the decoder's output: a sample's own total, its library size, times
the share that a softmax over its elements gives each of them (Lopez et al., 2018), or the rates themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.likelihoods import Likelihood, apart, per_sample, second
from aebuild.modules.outputs import repeated_rows
from aebuild.modules.scaled_likelihoods import Positive, Scale

LOG_RATE = (-20.0, 20.0)
LOG_DISPERSION = (-10.0, 15.0)
LEAST_RATE = 1e-8                # what a count of 0 is where a logarithm is wanted
LARGE = 30.0                # from which on Stirling's series is exact to rounding


class Counts(Likelihood):
    """A likelihood of whole numbers from 0, [N, ...]; with `totals` rates are shares of a sample's total, else the decoder's own.

    Where a code alone is decoded no total is known: then it is `typical`, the mean total of the training data.
    """

    typical: Tensor

    def __init__(self, *, totals: bool, count: int = 1, axis: int = 1) -> None:
        super().__init__()
        self.totals, self.count, self.axis = totals, count, axis
        if totals:
            self.register_buffer("typical", torch.ones(()))

    def linked(self, params: Tensor, context: Mapping[str, Any]) -> Tensor:
        """The first parameter of each element as the logarithm of its rate, held in [-20, 20]; the others as they are."""
        first, *others = self.parts(params)
        if self.totals:
            shares = first.flatten(1).log_softmax(1).view_as(first)
            first = shares + self._total(first, context).clamp(min=LEAST_RATE).log().view(-1, *(1,) * (first.ndim - 1))
        first = bounded(first, *LOG_RATE)
        return torch.stack([first, *others], second(self.axis)).flatten(*self._both) if others else first

    def _total(self, first: Tensor, context: Mapping[str, Any]) -> Tensor:
        """The total of each row, [N] or [1]."""
        known = context.get("target", context.get("input"))
        if known is None:
            return self.typical.reshape(1)
        return repeated_rows(known.flatten(1).sum(1), len(first) // len(known))

    @property
    def _both(self) -> tuple[int, int]:
        return (self.axis, self.axis + 1) if self.axis > 0 else (self.axis - 1, self.axis)

    def learn(self, target: Tensor) -> None:
        """The typical total; ValueError for a number below 0."""
        if (target < 0).any():
            raise ValueError(f"counts are not below 0, and {target.min():g} is among the training data")
        if self.totals:
            self.typical.fill_(target.flatten(1).sum(1).mean().item())

    def parts(self, params: Tensor) -> tuple[Tensor, ...]:
        """The parameters of each element, each like the target."""
        return (params,) if self.count == 1 else apart(params, self.count, self.axis).unbind(second(self.axis))

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def mean(self, params: Tensor) -> Tensor:
        """The rate."""
        return self.parts(params)[0].exp()

    def params_of(self, mean: Tensor) -> Tensor | None:
        """Its logarithm; None where there are other parameters too."""
        return mean.clamp(min=LEAST_RATE).log() if self.count == 1 else None


class Poisson(Counts):
    """Nats of a count under a Poisson distribution."""

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return params.exp() - target * params + torch.lgamma(target + 1)


class Multinomial(Counts):
    """Nats of all counts of a sample together, given their total (Liang et al., 2018)."""

    def __init__(self) -> None:
        super().__init__(totals=True)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]; shares are what rates are to their sum."""
        counts = target.flatten(1)
        ways = torch.lgamma(counts.sum(1) + 1) - torch.lgamma(counts + 1).sum(1)
        return -(counts * params.flatten(1).log_softmax(1)).sum(1) - ways


class NegativeBinomial(Counts):
    """Nats of a count of mean μ and variance μ + μ² / θ; `dispersion` is θ, the inverse dispersion, as Positive takes it."""

    others = 0           # parameters of an element besides rate and dispersion

    def __init__(self, dispersion: Scale, axis: int, *, totals: bool) -> None:
        super().__init__(totals=totals, count=1 + self.others + (dispersion is None), axis=axis)
        self.dispersion = Positive(dispersion, LOG_DISPERSION)

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        parts = self.parts(params)
        return -negative_binomial(target, parts[0], self.dispersion.of(parts))


class ZeroInflated(NegativeBinomial):
    """The same, of which a share of the counts is 0 for another reason, the drop-out of a measurement (Lopez et al., 2018).

    The second parameter of an element is the logit of that share.
    """

    others = 1

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        parts = self.parts(params)
        log_rate, logit, log_dispersion = parts[0], parts[1], self.dispersion.of(parts)
        counted = F.logsigmoid(-logit) + negative_binomial(target, log_rate, log_dispersion)
        return -torch.where(target == 0, torch.logaddexp(F.logsigmoid(logit), counted), counted)

    def mean(self, params: Tensor) -> Tensor:
        """The rate of what did not drop out."""
        parts = self.parts(params)
        return parts[0].exp() * (-parts[1]).sigmoid()


def negative_binomial(x: Tensor, log_rate: Tensor, log_dispersion: Tensor) -> Tensor:
    """The logarithm of the probability of counts x.

    ln Γ(x + θ) − ln Γ(θ) − ln x! + x·ln(μ / (θ + μ)) + θ·ln(θ / (θ + μ)).
    """
    dispersion, gap = log_dispersion.exp(), log_rate - log_dispersion
    chance = x * F.logsigmoid(gap) - dispersion * F.softplus(gap)
    return log_rising(dispersion, x) - torch.lgamma(x + 1) + chance


def log_rising(base: Tensor, x: Tensor) -> Tensor:
    """ln Γ(base + x) − ln Γ(base); by Stirling's series for a large base, where both nearly cancel."""
    large = base > LARGE
    big, small = torch.where(large, base, LARGE), torch.where(large, 1.0, base)
    series = x * big.log() + (big + x - 0.5) * (x / big).log1p() - x + (1 / (big + x) - 1 / big) / 12 \
        - (1 / (big + x) ** 3 - 1 / big ** 3) / 360
    return torch.where(large, series, torch.lgamma(small + x) - torch.lgamma(small))
