"""A deterministic code, with a Gaussian fitted to it so that it can be sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.latent import Latent

BLOCK = 8192                 # codes widened to float64 at a time


class ContinuousLatent(Latent):
    """The projection itself is the code, [N, *shape].

    It has no prior of its own. `fit` gives it one, a Gaussian in `prior_mean`, [D], and `prior_factor`: with `full` the F of
    a covariance F·Fᵀ, [D, D], else standard deviations, [D]. Before `fit` that is N(0, I).
    """

    prior_mean: Tensor
    prior_factor: Tensor

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], full: bool) -> None:
        super().__init__(steps)
        self.shape = tuple(shape)
        size = prod(self.shape)
        self.register_buffer("prior_mean", torch.zeros(size))
        self.register_buffer("prior_factor", torch.eye(size) if full else torch.ones(size))

    def forward(self, h: Tensor) -> Code:
        """The code; no terms."""
        return Code(self.project(h))

    def draw(self, n: int) -> Tensor:
        """`n` codes from the fitted Gaussian."""
        noise = self.normal(n, self.prior_mean.numel())                                  # (n, D)
        spread = noise @ self.prior_factor.T if self.prior_factor.ndim == 2 else noise * self.prior_factor
        return (self.prior_mean + spread).view(n, *self.shape)

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Fits the Gaussian of greatest likelihood to codes [N, *shape]."""
        flat = codes.flatten(1)                                                          # (N, D)
        mean = flat.mean(0, dtype=torch.float64)
        moment = torch.zeros_like(self.prior_factor, dtype=torch.float64, device=flat.device)
        for block in torch.split(flat, BLOCK):
            centred = block.double() - mean
            moment += centred.T @ centred if moment.ndim == 2 else centred.square().sum(0)
        moment /= len(flat)
        self.prior_mean.copy_(mean)
        self.prior_factor.copy_(_root(moment) if moment.ndim == 2 else moment.sqrt())


def _root(covariance: Tensor) -> Tensor:
    values, axes = torch.linalg.eigh(covariance)         # unlike Cholesky, at home with constant features
    root: Tensor = axes * values.clamp(min=0).sqrt()
    return root
