"""A prior that depends on what is known of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.conditioning import told
from aebuild.modules.divergences import gaussian_kl_between
from aebuild.modules.posteriors import DiagonalGaussian, Distribution
from aebuild.modules.priors import Prior

Columns = Sequence[tuple[str, int, int]]


class ConditionalPrior(Prior):
    """N(μ(c), σ²(c)) for each value of the code, where c is what the context says of the sample (Sohn et al., 2015).

    `network` takes c, [N, F], to means and log-variances, [N, 2·prod(shape)]; c are the `columns` (key, first, last) side by side.
    """

    def __init__(self, shape: Sequence[int], network: nn.Module, columns: Columns) -> None:
        super().__init__(shape)
        self.network = network
        self.columns = tuple(tuple(each) for each in columns)

    def given(self, context: dict[str, Any]) -> Prior:
        """The prior of these samples, or of any number where one row stands for all."""
        rows = max((context[key].shape[0] for key, _, _ in self.columns if key in context), default=0)
        known = torch.cat([told(context, str(key), rows)[:, first:last] for key, first, last in self.columns], 1)
        mean, log_variance = self.network(known).unflatten(1, (2, *self.shape)).unbind(1)
        return GaussianAt(mean, bounded_log_variance(log_variance), self.normal)

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Refused: nothing is known of the samples."""
        return self.given({}).draw(n, device)

    def log_prob(self, codes: Tensor) -> Tensor:
        """Refused, as `draw` is."""
        return self.given({}).log_prob(codes)


class GaussianAt(Prior):
    """N(mean, exp(log_variance)), [N, *shape] each; `normal` draws standard normal numbers."""

    def __init__(self, mean: Tensor, log_variance: Tensor, normal: Callable[..., Tensor]) -> None:
        super().__init__(mean.shape[1:])
        self.mean, self.log_variance, self.noise = mean, log_variance, normal

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape], one for each row, or from one row n."""
        noise = self.noise(n, *self.shape, device=device)
        return self._over(self.mean, n) + (0.5 * self._over(self.log_variance, n)).exp() * noise

    def log_prob(self, codes: Tensor) -> Tensor:
        """For each value of the code."""
        mean, log_variance = (self._over(each, len(codes)) for each in (self.mean, self.log_variance))
        return -0.5 * ((codes - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))

    def kl(self, posterior: Distribution) -> Tensor | None:
        """Known for a diagonal Gaussian."""
        if not isinstance(posterior, DiagonalGaussian):
            return None
        rows = posterior.mean.shape[0]
        return gaussian_kl_between(posterior.mean, posterior.log_variance, self._over(self.mean, rows),
                                   self._over(self.log_variance, rows))

    def moved(self, apart: DiagonalGaussian) -> DiagonalGaussian:
        """N(μ + Δμ, (σ·Δσ)²) for differences N(Δμ, Δσ²) from these Gaussians N(μ, σ²) (Vahdat and Kautz, 2020)."""
        rows = apart.mean.shape[0]
        return DiagonalGaussian(self._over(self.mean, rows) + apart.mean, self._over(self.log_variance, rows) + apart.log_variance)

    def _over(self, held: Tensor, rows: int) -> Tensor:
        """For each row of several draws a sample."""
        if held.shape[0] == rows:
            return held
        return held.expand(rows, *held.shape[1:]) if held.shape[0] == 1 else held.repeat_interleave(rows // held.shape[0], 0)
