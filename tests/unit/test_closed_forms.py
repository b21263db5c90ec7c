"""Truths in closed form that need the whole line, from spec to trained model (the others stand beside their parts)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch

DIGITS = torch.from_numpy(load_digits().data / 16).to(torch.float64)
EIGENVALUES = np.linalg.eigvalsh(np.cov(DIGITS.numpy().T, bias=True))[::-1].copy()


def model_of(text: str) -> tuple[Plan, Autoencoder]:
    plan = load("closed.yaml", text=f"data: digits\nencoder: []\ndecoder: []\n{text}").require()
    return plan, build(plan).double()


def loss_of(plan: Plan, model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    raw, _ = model.terms(Batch(x, x))
    return torch.stack([term.config.reduce(raw[term.name], term.elements) for term in plan.terms]).sum()


@pytest.mark.slow
@pytest.mark.parametrize(("k", "expected"), [(2, 3.355253), (10, 1.228574), (16, 0.706796), (32, 0.157909)])
def test_the_best_linear_autoencoder_is_pca(k: int, expected: float) -> None:
    """Eckart and Young (1936): no linear autoencoder is better than the first k principal components; ours reaches them."""
    assert math.isclose(EIGENVALUES[k:].sum(), expected, abs_tol=1e-6)
    plan, model = model_of(f"latent: {{type: continuous, dim: {k}}}\nlosses: {{reconstruction: mse}}")
    x = DIGITS.reshape(-1, 1, 8, 8)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=700, max_eval=900, history_size=20, tolerance_grad=1e-9,
                                  tolerance_change=1e-13, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(plan, model, x)
        loss.backward()
        return loss

    optimizer.step(closure)
    found = loss_of(plan, model, x).item()
    assert expected - 1e-6 <= found <= expected * 1.01


def test_the_linear_vae_with_learned_variance_is_probabilistic_pca() -> None:
    """Tipping and Bishop (1999), Lucas et al. (2019): at the optimum the ELBO is exact and known in closed form."""
    k, d = 10, 64
    variance = EIGENVALUES[k:].mean()
    elbo = -0.5 * (d * math.log(2 * math.pi) + np.log(EIGENVALUES[:k]).sum() + (d - k) * math.log(variance) + d)
    assert math.isclose(elbo, 17.45195, abs_tol=1e-5)
    assert math.isclose(variance, 0.022751, abs_tol=1e-6)
    plan, model = model_of(f"latent: {{type: gaussian, dim: {k}}}\nlosses: {{reconstruction: {{type: gaussian, variance: learned}}}}")
    _set_to_ppca(model, k, float(variance))
    terms = [_mean_terms(plan, model, seed) for seed in range(60)]
    kl = np.mean([t["kl"] for t in terms])
    total = np.array([t["kl"] + t["reconstruction"] for t in terms])
    assert math.isclose(kl, 12.79614, abs_tol=1e-4)
    assert abs(-total.mean() - elbo) < 4 * total.std() / math.sqrt(len(total)) + 1e-6


def _mean_terms(plan: Plan, model: Autoencoder, seed: int) -> dict[str, float]:
    from aebuild.modules.randomness import random_modules, reseed

    reseed(random_modules(model), seed, 0)
    x = DIGITS.reshape(-1, 1, 8, 8)
    with torch.no_grad():
        raw, _ = model.terms(Batch(x, x))
    return {term.name: float(term.config.reduce(raw[term.name], term.elements)) for term in plan.terms}


@torch.no_grad()
def _set_to_ppca(model: Autoencoder, k: int, variance: float) -> None:
    """The maximum-likelihood weights and the exact posterior, as parameters of the spec's own model."""
    mean = DIGITS.mean(0)
    values, vectors = torch.linalg.eigh(torch.from_numpy(np.cov(DIGITS.numpy().T, bias=True)))
    values, vectors = values.flip(0)[:k], vectors.flip(1)[:, :k]
    loading = vectors * (values - variance).sqrt()                          # (d, k)
    inverse = torch.linalg.inv(loading.T @ loading + variance * torch.eye(k, dtype=torch.float64))
    to_mean = inverse @ loading.T                                           # (k, d)
    spread = torch.log(variance * torch.diagonal(inverse))                  # the posterior's covariance is diagonal here
    state = model.state_dict()
    weight, bias = state["latent.projection.weight"], state["latent.projection.bias"]
    weight.copy_(torch.cat([to_mean, torch.zeros(k, 64, dtype=torch.float64)]))
    bias.copy_(torch.cat([-to_mean @ mean, spread]))
    state["decoder.output.linear.weight"].copy_(loading)
    state["decoder.output.linear.bias"].copy_(mean)
    (name,) = [name for name in state if name.startswith("likelihood.")]
    state[name].fill_(math.log(variance))
