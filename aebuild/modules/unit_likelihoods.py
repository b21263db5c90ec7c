"""Densities of values in [0, 1]: continuous Bernoulli and beta."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.inversion import argument_of
from aebuild.modules.likelihoods import HALF_LEVEL, Likelihood, apart, per_sample, second
from aebuild.modules.scaled_likelihoods import Positive, Scale

NEAR = 0.02                      # half a logit below which a series is exact to rounding
CONCENTRATION = (-7.0, 12.0)     # of its logarithm
STEEPEST = 1 / HALF_LEVEL        # the logit whose mean is half a level from 1


class ContinuousBernoulli(Likelihood):
    """Negative log-density in nats of a value in [0, 1]: the cross-entropy of a logit, normalised (Loaiza-Ganem and Cunningham, 2019)."""

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return F.binary_cross_entropy_with_logits(params, target, reduction="none") - log_normaliser(params)

    def mean(self, params: Tensor) -> Tensor:
        """The expected value, which is nearer to one half than the probability of a one."""
        return continuous_mean(params)

    def params_of(self, mean: Tensor) -> Tensor:
        """The logit with this mean, held half a level of a byte from 0 and 1."""
        return argument_of(mean.clamp(HALF_LEVEL, 1 - HALF_LEVEL), continuous_mean, -STEEPEST, STEEPEST)


class Beta(Likelihood):
    """Negative log-density in nats of a beta distribution of mean σ(parameter) and a concentration, the sum of its two exponents.

    A target is held half a level of a byte from 0 and 1, where the density may be infinite. `concentration` as Positive takes it.
    """

    def __init__(self, concentration: Scale, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.concentration = Positive(concentration, CONCENTRATION)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        parts = self._parts(params)
        total = self.concentration.of(parts)
        logit = bounded(parts[0], -20.0, 20.0)
        ones, zeros = (F.logsigmoid(logit) + total).exp(), (F.logsigmoid(-logit) + total).exp()
        x = target.clamp(HALF_LEVEL, 1 - HALF_LEVEL)
        return torch.lgamma(ones) + torch.lgamma(zeros) - torch.lgamma(total.exp()) - (ones - 1) * x.log() - (zeros - 1) * (-x).log1p()

    def mean(self, params: Tensor) -> Tensor:
        """The mean."""
        return self._parts(params)[0].sigmoid()

    def params_of(self, mean: Tensor) -> Tensor | None:
        """The logit of the mean, held half a level of a byte from 0 and 1; None where a concentration is predicted too."""
        return None if self.concentration.predicted else mean.clamp(HALF_LEVEL, 1 - HALF_LEVEL).logit()

    def _parts(self, params: Tensor) -> tuple[Tensor, ...]:
        return apart(params, 2, self.axis).unbind(second(self.axis)) if self.concentration.predicted else (params,)


def log_normaliser(logit: Tensor) -> Tensor:
    """ln C(λ) of the continuous Bernoulli at λ = σ(logit): C = logit / tanh(logit / 2), by its series near λ = ½, where C = 2."""
    half = logit / 2
    near = half.abs() < NEAR
    safe = half.masked_fill(near, 1.0)
    square = half.masked_fill(~near, 0.0).square()
    return math.log(2) + torch.where(near, square / 3 - 7 / 90 * square.square(), (safe / safe.tanh()).log())


def continuous_mean(logit: Tensor) -> Tensor:
    """The mean of the continuous Bernoulli at λ = σ(logit): ½ + ½ coth(logit / 2) − 1 / logit."""
    half = logit / 2
    near = half.abs() < NEAR
    safe = half.masked_fill(near, 1.0)
    small = half.masked_fill(~near, 0.0)
    return 0.5 + 0.5 * torch.where(near, small / 3 - small ** 3 / 45, 1 / safe.tanh() - 1 / safe)
