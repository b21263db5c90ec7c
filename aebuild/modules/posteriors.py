"""What a variational code is drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.divergences import gaussian_kl


class Distribution:
    """The posteriors of a batch, [N, *shape]; `mean` is what a program without random numbers takes."""

    mean: Tensor

    @property
    def centre(self) -> Tensor:
        """A point of each posterior that is at hand, [N, *shape]: the mean, if nothing must be computed for it."""
        return self.mean

    def noise(self, drawn: Callable[..., Tensor], draws: int) -> Tensor:
        """What `sample` makes codes of, [N, draws, ...]: standard normal numbers in the code's shape. `drawn` is `Random.drawn`."""
        like = self.centre
        return drawn(torch.randn, (len(like), draws, *like.shape[1:]), like.device, dtype=like.dtype)

    def sample(self, noise: Tensor) -> Tensor:
        """Codes [N·draws, *shape] from that noise, differentiable, and remembered for `log_q`."""
        raise TypeError(f"{type(self).__name__} cannot be drawn from")

    def log_q(self) -> Tensor:
        """Log-density of the last codes drawn, for each value of the code, [N·draws, *shape], or of each as a whole, [N·draws]."""
        raise TypeError(f"{type(self).__name__} has no density")

    def kl_to_gaussian(self, std: float) -> Tensor | None:
        """KL to N(0, std²·I), shaped like `log_q` of a single draw; None where no closed form is known."""
        return None

    def kl_to_uniform(self) -> Tensor | None:
        """KL to the uniform distribution of all codes there are, where these lie on a part of space; None where none is known."""
        return None

    def kl_to_bernoulli(self, rate: float) -> Tensor | None:
        """KL to bits that are one with this probability; None where none is known."""
        return None

    def covariance(self) -> Tensor:
        """Of each sample's values, [N, D, D]."""
        raise TypeError(f"{type(self).__name__} has no covariance in closed form")

    def stretch(self) -> Tensor:
        """What a metric of the codes is stretched by around each, symmetric and positive, [N, D, D]: the covariance."""
        return self.covariance()


class DiagonalGaussian(Distribution):
    """N(mean, exp(log_variance)) for each value of the code, independently."""

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        self.mean, self.log_variance = mean, log_variance
        self._noise: Tensor | None = None

    def sample(self, noise: Tensor) -> Tensor:
        """By reparameterisation (Kingma and Welling, 2013)."""
        self._noise = noise
        spread = (0.5 * self.log_variance).exp()
        if noise.shape[1] == 1:
            return torch.addcmul(self.mean, spread, noise[:, 0])
        return torch.addcmul(self.mean.unsqueeze(1), spread.unsqueeze(1), noise).flatten(0, 1)

    def log_q(self) -> Tensor:
        """For each value of the code."""
        assert self._noise is not None, "nothing was drawn"
        log_variance = self.log_variance.unsqueeze(1).expand_as(self._noise)
        return (-0.5 * (self._noise.square() + log_variance + math.log(2 * math.pi))).flatten(0, 1)

    def kl_to_gaussian(self, std: float) -> Tensor:
        """For each value of the code."""
        return gaussian_kl(self.mean, self.log_variance, prior_variance=std ** 2)

    def covariance(self) -> Tensor:
        """Of each sample's values, [N, D, D]."""
        return self.log_variance.exp().flatten(1).diag_embed()


class Diagonal(nn.Module):
    """Mean and log-variance, one after the other on the features' axis; the log-variance is held in [-20, 20]."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, numbers: Tensor) -> DiagonalGaussian:
        """The posteriors that the projection's output [N, ...] describes."""
        mean, log_variance = numbers.chunk(2, self.axis)
        return DiagonalGaussian(mean, bounded_log_variance(log_variance))


class Relative(Diagonal):
    """The same as what a Gaussian differs by from the prior of its sample: a distance of means and a log-ratio of variances."""

    beside_prior = True
