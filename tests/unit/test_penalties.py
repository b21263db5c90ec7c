"""Penalties on the code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from aebuild.lang.families import ProjectedLatent
from aebuild.lang.terms import ModelTypes
from aebuild.lang.values import Range, Vector
from aebuild.modules.penalties import NtXent, SparsityKl, SparsityL1
from aebuild.parts import discover
from aebuild.parts.activations.relu import ReLU
from aebuild.parts.activations.sigmoid import Sigmoid
from aebuild.parts.latents.adversarial import Adversarial
from aebuild.parts.latents.codebook import Codebook
from aebuild.parts.latents.continuous import Continuous
from aebuild.parts.penalties.kl import Kl
from aebuild.parts.penalties.l1 import L1
from aebuild.parts.penalties.ntxent import NtXent as NtXentPart
from aebuild.parts.priors.categorical import Categorical

discover()


def test_sparse_kl() -> None:
    code = torch.tensor([[0.05, 0.2], [0.15, 0.6]])                  # means 0.1 and 0.4
    raw = SparsityKl(0.25)(code)
    assert raw.ndim == 0
    assert SparsityKl(0.25)(code[:, :1]).item() == pytest.approx(0.092332, abs=1e-6)
    oracle = D.kl_divergence(D.Bernoulli(torch.tensor(0.25)), D.Bernoulli(code.mean(0))).sum()
    torch.testing.assert_close(raw, oracle)
    assert Kl().reduce(raw, 2) == raw
    assert Kl(reduction="mean").reduce(raw, 2) == raw / 2


@pytest.mark.parametrize("stuck", [0.0, 1.0])
def test_a_saturated_unit_is_finite_and_pulled_back(stuck: float) -> None:
    code = torch.full((4, 1), stuck, requires_grad=True)
    raw = SparsityKl(0.25)(code)
    held = D.kl_divergence(D.Bernoulli(torch.tensor(0.25)), D.Bernoulli(torch.tensor(stuck).clamp(1e-6, 1 - 1e-6)))
    torch.testing.assert_close(raw.detach(), held)
    raw.backward()
    assert code.grad is not None
    assert code.grad.isfinite().all()
    assert ((code.grad < 0) if stuck == 0 else (code.grad > 0)).all()


def beside(latent: ProjectedLatent) -> ModelTypes:
    """What a penalty knows of a model with this latent."""
    code = Vector(latent.dim)
    return ModelTypes(Vector(9), Vector(9), Range(), Vector(9), code, latent)


def test_sparse_kl_needs_a_rate() -> None:
    assert Kl().check(beside(Continuous(dim=2, activation=Sigmoid()))) is None
    assert Kl().check(beside(Adversarial(dim=2, prior=Categorical()))) is None
    for latent in (Continuous(dim=2), Continuous(dim=2, activation=ReLU()), Adversarial(dim=2), Codebook(dim=2, codes=4)):
        assert "sigmoid" in str(Kl().check(beside(latent)))
    assert L1().check(beside(Continuous(dim=2))) is None


def test_l1() -> None:
    code = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    assert L1().reduce(SparsityL1()(code), 2) == 3
    assert L1(reduction="mean").reduce(SparsityL1()(code), 2) == 1.5


def test_ntxent_against_a_plain_loop() -> None:
    torch.manual_seed(0)
    first, second, temperature = torch.randn(5, 3, 2), torch.randn(5, 3, 2), 0.3
    codes = [code.flatten() / code.norm() for code in [*first, *second]]
    losses = []
    for i in range(10):
        weights = {j: math.exp(float(codes[i] @ codes[j]) / temperature) for j in range(10) if j != i}
        losses.append(-math.log(weights[(i + 5) % 10] / sum(weights.values())))
    raw = NtXent(temperature)(first, second)
    assert raw.shape == (5,)
    assert NtXentPart().reduce(raw, NtXentPart().elements(beside(Continuous(dim=6)))).item() == pytest.approx(sum(losses) / 10, rel=1e-5)
    assert raw[2].item() == pytest.approx((losses[2] + losses[7]) / 2, rel=1e-5)


def test_ntxent_of_equal_codes() -> None:
    """All codes alike: each view finds its partner among 2N − 1 by chance."""
    same = torch.ones(8, 4)
    assert NtXent(0.5)(same, same).mean().item() == pytest.approx(math.log(15), rel=1e-6)


def test_parts_build_modules_with_as_many_views() -> None:
    assert (Kl().views, L1().views, NtXentPart().views) == (1, 1, 2)
    assert (Kl().key, L1().key, NtXentPart().key) == ("sparsity", "sparsity", "contrastive")
