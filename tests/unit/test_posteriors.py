"""Posteriors and divergences: closed forms, and what draws of them give."""

from __future__ import annotations

import pytest
import torch
from latent_site import built, site
from torch import distributions as D

from aebuild.lang.values import Grid, Tokens, Value, Vector
from aebuild.lang.variational import KlTerm
from aebuild.modules.posteriors import DiagonalGaussian
from aebuild.modules.priors import FittedGaussian, GaussianPrior, UniformIndices
from aebuild.parts.latents.adversarial import Adversarial
from aebuild.parts.latents.continuous import Continuous
from aebuild.parts.latents.gaussian import Gaussian
from aebuild.parts.priors.empirical import Empirical
from aebuild.parts.priors.petals import Petals
from aebuild.parts.priors.uniform import Uniform


def posterior(count: int = 3) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(0)
    return DiagonalGaussian(torch.randn(count, 4, generator=generator), torch.randn(count, 4, generator=generator))


def test_a_diagonal_gaussian_is_torchs() -> None:
    made = posterior()
    value = made.sample(torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1)))
    assert value.shape == (15, 4)
    truth = D.Normal(made.mean, (0.5 * made.log_variance).exp())
    expected = truth.log_prob(value.view(3, 5, 4).transpose(0, 1)).transpose(0, 1).flatten(0, 1)
    torch.testing.assert_close(made.log_q(), expected)


@pytest.mark.parametrize("std", [1.0, 2.5])
def test_the_divergence_of_draws_is_the_closed_form_on_average(std: float) -> None:
    made, prior = posterior(), GaussianPrior((4,), std)
    truth = D.kl_divergence(D.Normal(made.mean, (0.5 * made.log_variance).exp()), D.Normal(0.0, std))
    torch.testing.assert_close(prior.divergence(made, made.sample(torch.zeros(3, 1, 4))), truth, check_dtype=False)
    draws = 200_000
    value = made.sample(torch.randn(3, draws, 4, generator=torch.Generator().manual_seed(1)))
    drawn = prior.divergence(made, value, closed=False).view(3, draws, 4).mean(1)
    torch.testing.assert_close(drawn, truth, atol=0.03, rtol=0.02)


def test_values_that_are_tied_together_are_one_number_a_sample() -> None:
    made = DiagonalGaussian(torch.zeros(5, 2), torch.zeros(5, 2))
    prior = built(Petals().plan_prior(Vector(2), site()).node)
    raw = prior.divergence(made, made.sample(torch.randn(5, 1, 2)))
    assert raw.shape == (5,)
    assert KlTerm(free_bits=100.0).reduce(raw, 2) == 200
    assert KlTerm(free_bits=1e-9).reduce(raw, 2) == pytest.approx(float(raw.mean()))


def test_the_density_of_a_mixture_is_one_in_all_and_fits_its_draws() -> None:
    prior = built(Petals(components=3, radius=2.0, std=0.7, across=0.3).plan_prior(Vector(2), site()).node)
    axis = torch.linspace(-7, 7, 701)
    grid = torch.cartesian_prod(axis, axis)
    density = prior.log_prob(grid).exp() * (axis[1] - axis[0]) ** 2
    assert density.sum().item() == pytest.approx(1, abs=1e-3)
    drawn = prior.draw(100_000, torch.device("cpu"))
    entropy = -(density * prior.log_prob(grid)).sum()
    assert -prior.log_prob(drawn).mean().item() == pytest.approx(entropy.item(), abs=0.02)


def test_indices_have_densities() -> None:
    codes = Tokens(2, 4)
    uniform = built(Uniform().plan_prior(codes, site()).node)
    assert isinstance(uniform, UniformIndices)
    indices = torch.tensor([[0, 3], [1, 3], [1, 2], [1, 3]])
    assert uniform.log_prob(indices).exp().tolist() == [[0.25, 0.25]] * 4
    empirical = built(Empirical().plan_prior(codes, site()).node)
    empirical.fit(indices.split(3))
    assert empirical.frequencies.tolist() == [[0.25, 0.75, 0, 0], [0, 0, 0.25, 0.75]]
    torch.testing.assert_close(empirical.log_prob(indices).exp(), torch.tensor([[0.25, 0.75], [0.75, 0.75], [0.75, 0.25], [0.75, 0.75]]))


def test_a_prior_is_fitted_block_by_block_as_to_all_at_once() -> None:
    codes = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) @ torch.randn(3, 3) + 5
    once, blocks = FittedGaussian((3,), full=True), FittedGaussian((3,), full=True)
    once.fit([codes])
    blocks.fit(codes.split(77))
    torch.testing.assert_close(blocks.mean, once.mean)
    torch.testing.assert_close(blocks.factor @ blocks.factor.T, codes.T.cov(correction=0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("value", [Vector(24), Grid(6, (3, 4))], ids=str)
def test_a_real_code_has_32_bits_a_value(value: Value) -> None:
    for part in (Continuous(dim=5), Gaussian(dim=5), Adversarial(dim=5)):
        plan = part.plan_latent(value, site())
        assert (plan.values, plan.bits) == (5, 160)
