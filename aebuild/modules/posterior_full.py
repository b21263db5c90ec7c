"""Gaussian posteriors whose values depend on each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.places import from_rows, to_rows
from aebuild.modules.posteriors import Distribution


class FullGaussian(Distribution):
    """N(mean, F·Fᵀ) at each place: mean [N, *shape], and a lower triangular `factor` [N, P, D, D] whose diagonal is positive."""

    def __init__(self, mean: Tensor, factor: Tensor, axis: int) -> None:
        self.mean, self.factor, self.axis = mean, factor, axis
        self._noise: Tensor | None = None

    def sample(self, noise: Tensor) -> Tensor:
        """By reparameterisation: mean + F·noise."""
        draws = noise.shape[1]
        self._noise = to_rows(noise.flatten(0, 1), self.axis)                                   # (N·draws, P, D)
        factor = self.factor.repeat_interleave(draws, 0)
        spread = (factor * self._noise.unsqueeze(2)).sum(3)
        return self.mean.repeat_interleave(draws, 0) + from_rows(spread, self.mean, self.axis)

    def log_q(self) -> Tensor:
        """Of each code as a whole."""
        assert self._noise is not None, "nothing was drawn"
        draws = len(self._noise) // len(self.mean)
        standard = -0.5 * (self._noise.square() + math.log(2 * math.pi)).flatten(1).sum(1)
        return standard - self._log_determinant().repeat_interleave(draws, 0)

    def kl_to_gaussian(self, std: float) -> Tensor:
        """Of each code as a whole."""
        squares = (self.factor.square().flatten(1).sum(1) + self.mean.square().flatten(1).sum(1)) / std ** 2
        values = self.mean[0].numel()
        return 0.5 * (squares - values) + values * math.log(std) - self._log_determinant()

    def covariance(self) -> Tensor:
        """Of each sample's values, [N, P·D, P·D], in the order of the code."""
        count, places, features, _ = self.factor.shape
        within = self.factor @ self.factor.transpose(2, 3)
        whole = within.new_zeros(count, places, features, places, features)
        for place in range(places):
            whole[:, place, :, place] = within[:, place]
        if self.axis == 1:
            whole = whole.permute(0, 2, 1, 4, 3)
        return whole.reshape(count, places * features, -1)

    def _log_determinant(self) -> Tensor:
        return self.factor.diagonal(dim1=2, dim2=3).log().flatten(1).sum(1)


class Full(nn.Module):
    """Mean, log-variances of the diagonal and the triangle below it, one after the other on the features' axis."""

    def __init__(self, axis: int, dim: int) -> None:
        super().__init__()
        self.axis, self.dim = axis, dim

    def forward(self, numbers: Tensor) -> FullGaussian:
        """The posteriors that the projection's output [N, ...] describes."""
        dim = self.dim
        mean, log_variance, below = torch.split(numbers, [dim, dim, numbers.shape[self.axis] - 2 * dim], self.axis)
        diagonal = (0.5 * to_rows(bounded_log_variance(log_variance), self.axis)).exp().diag_embed()          # (N, P, D, D)
        triangle = torch.zeros_like(diagonal)
        rows, columns = torch.tril_indices(dim, dim, -1, device=numbers.device)
        triangle[:, :, rows, columns] = to_rows(below, self.axis)
        return FullGaussian(mean, diagonal + triangle, self.axis)
