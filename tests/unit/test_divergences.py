"""Kullback-Leibler divergences against torch's own, over a lattice of priors."""

from __future__ import annotations

import pytest
import torch
from torch import distributions as D

from aebuild.modules.divergences import bernoulli_kl, gaussian_kl


@pytest.mark.parametrize("variance", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("mean", [-2.0, 0.0, 1.0])
def test_of_gaussians(mean: float, variance: float) -> None:
    ours = torch.tensor([-1.5, 0.0, 1.0, 3.0], dtype=torch.float64)
    spread = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=torch.float64)
    theirs = D.kl_divergence(D.Normal(ours, spread), D.Normal(torch.tensor(mean).double(), torch.tensor(variance).double().sqrt()))
    torch.testing.assert_close(gaussian_kl(ours, 2 * spread.log(), mean, variance), theirs)
    if (mean, variance) == (0, 1):                          # the prior unless another is named
        torch.testing.assert_close(gaussian_kl(ours, 2 * spread.log()), theirs)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.8])
def test_of_coins(rate: float) -> None:
    share = torch.tensor([0.01, 0.05, 0.5, 0.8, 0.99], dtype=torch.float64)
    theirs = D.kl_divergence(D.Bernoulli(torch.tensor(rate).double()), D.Bernoulli(share))
    torch.testing.assert_close(bernoulli_kl(rate, share), theirs)
