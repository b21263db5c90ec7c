"""Priors: moments and shapes of their draws, densities and divergences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from latent_site import built, site

from aebuild.lang.values import Vector
from aebuild.parts.priors.categorical import Categorical
from aebuild.parts.priors.gaussian import Gaussian
from aebuild.parts.priors.petals import Petals
from aebuild.parts.priors.swiss_roll import SwissRoll
from aebuild.parts.priors.uniform import Uniform

CPU, COUNT = torch.device("cpu"), 100_000


def prior_of(part: Any, dim: int) -> Any:
    """The module of a prior over vectors of that many values."""
    return built(part.plan_prior(Vector(dim), site()).node)


def draws(part: Any, dim: int, count: int = COUNT) -> torch.Tensor:
    module = prior_of(part, dim)
    module.reseed(0)
    drawn: torch.Tensor = module.draw(count, CPU)
    assert drawn.shape == (count, dim)
    assert drawn.dtype == torch.float32
    return drawn


def test_gaussian() -> None:
    z = draws(Gaussian(std=2.0), 3)
    torch.testing.assert_close(z.T.cov(), 4 * torch.eye(3), atol=0.08, rtol=0)


def test_uniform() -> None:
    z = draws(Uniform(low=-3.0, high=1.0), 2)
    assert -3 <= z.min() < -2.99
    assert 0.99 < z.max() <= 1
    torch.testing.assert_close(z.var(0), torch.full((2,), 16 / 12), rtol=0.02, atol=0)


def test_a_mixture_is_a_flower() -> None:
    z = draws(Petals(components=4, radius=10.0, std=1.0, across=0.2), 2)
    petals = [z[z[:, 0] > z[:, 1].abs()], z[z[:, 1] > z[:, 0].abs()]]
    for petal, axis in zip(petals, (0, 1), strict=True):
        assert len(petal) / COUNT == pytest.approx(0.25, abs=0.01)
        assert petal[:, axis].mean().item() == pytest.approx(10, abs=0.05)
        assert petal[:, axis].std().item() == pytest.approx(1, rel=0.03)
        assert petal[:, 1 - axis].std().item() == pytest.approx(0.2, rel=0.03)


def test_a_swiss_roll_is_a_spiral() -> None:
    z = draws(SwissRoll(turns=2.0, radius=3.0, std=0.0), 2)
    radius = z.norm(dim=1)
    angle = radius / 3 * 4 * math.pi
    torch.testing.assert_close(z, radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], 1), atol=1e-4, rtol=0)
    assert 2.99 < radius.max() <= 3.0001
    torch.testing.assert_close((radius / 3).square().mean(), torch.tensor(0.5), atol=0.01, rtol=0)
    blurred = draws(SwissRoll(std=0.5), 2) - draws(SwissRoll(std=0.0), 2)
    assert blurred.std().item() == pytest.approx(0.5, rel=0.02)


def test_categorical() -> None:
    z = draws(Categorical(), 5)
    assert (z.sum(1) == 1).all()
    assert set(z.flatten().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(z.mean(0), torch.full((5,), 0.2), atol=0.01, rtol=0)


@pytest.mark.parametrize(("part", "dim"), [(Gaussian(), 3), (Uniform(), 3), (Petals(), 2), (SwissRoll(), 2), (Categorical(), 3)])
def test_every_number_is_alive(part: Any, dim: int) -> None:
    for name in {name for name in type(part).model_fields if name != "type"}:
        value = getattr(part, name)
        assert not torch.equal(draws(part, dim, 50), draws(part.but(**{name: value * 2 + (3 if value > 0 else 0)}), dim, 50)), name
