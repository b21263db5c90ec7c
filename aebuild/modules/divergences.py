"""Kullback-Leibler divergences in closed form, in nats."""

from __future__ import annotations

import math

from torch import Tensor


def gaussian_kl(mean: Tensor, log_variance: Tensor, prior_mean: float = 0.0, prior_variance: float = 1.0) -> Tensor:
    """KL of N(mean, exp(log_variance)) to a Gaussian prior, for each element."""
    distance = (mean if prior_mean == 0 else mean - prior_mean).square() + log_variance.exp()
    if prior_variance != 1:
        distance = distance / prior_variance
    return (distance - log_variance).sub(1 - math.log(prior_variance)).mul(0.5)


def bernoulli_kl(rate: float, share: Tensor) -> Tensor:
    """KL of Bernoulli(rate) to Bernoulli(share), for each element; rate and share lie in (0, 1)."""
    entropy = rate * math.log(rate) + (1 - rate) * math.log1p(-rate)
    return entropy - rate * share.log() - (1 - rate) * (1 - share).log()


def gaussian_kl_between(mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor) -> Tensor:
    """KL of N(mean, exp(log_variance)) to N(prior_mean, exp(prior_log_variance)), for each element."""
    spread = log_variance - prior_log_variance
    return ((mean - prior_mean).square() * (-prior_log_variance).exp() + spread.exp() - spread - 1).mul(0.5)
