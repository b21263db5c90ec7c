"""Likelihoods of the field: against scipy and torch.distributions in float64, normalised, finite at extremes, means and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from test_likelihoods import VALUES, drawn
from torch import Tensor
from torch import distributions as D

from aebuild.lang.node import Refusal
from aebuild.lang.terms import Likelihood
from aebuild.lang.values import Range, Value, Vector
from aebuild.modules.scaled_likelihoods import log_mass
from aebuild.modules.unit_likelihoods import continuous_mean, log_normaliser
from aebuild.parts.likelihoods.beta import Beta
from aebuild.parts.likelihoods.charbonnier import Charbonnier
from aebuild.parts.likelihoods.continuous_bernoulli import ContinuousBernoulli
from aebuild.parts.likelihoods.discretized_logistic import DiscretizedLogistic
from aebuild.parts.likelihoods.discretized_logistic_mixture import DiscretizedLogisticMixture
from aebuild.parts.likelihoods.huber import Huber
from aebuild.parts.likelihoods.laplace import Laplace
from aebuild.parts.likelihoods.ordinal import Ordinal
from aebuild.parts.likelihoods.student_t import StudentT

REAL, UNIT, GRADES = Range(), Range(0, 1, levels=7), Range(0, 6, integer=True)
SCALES: list[Any] = [0.3, "learned", "per_dim", "predicted"]


def scale_in(module: Any, separate: Tensor, part: Any) -> Tensor:
    """The scale of each element."""
    log = separate[..., 1] if part.size == "predicted" else next(iter(module.parameters()), None)
    return torch.tensor(part.size).double() if log is None else log.double().exp()


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("scale", SCALES)
def test_against_torchs_distributions(value: Value, scale: Any) -> None:
    cases: list[tuple[Any, Any, Range]] = [
        (Laplace(scale=scale), lambda p, s: D.Laplace(p[..., 0], s), REAL),
        (StudentT(df=3.5, scale=scale), lambda p, s: D.StudentT(3.5, p[..., 0], s), REAL),
        (Beta(concentration=scale), lambda p, s: D.Beta(p[..., 0].sigmoid() * s, (-p[..., 0]).sigmoid() * s), UNIT)]
    for part, distribution, bounds in cases:
        module, params, separate, target = drawn(part, value, bounds)
        target = target.clamp(0.01, 0.99) if bounds == UNIT else target
        oracle = distribution(separate.double(), scale_in(module, separate, part))
        torch.testing.assert_close(module.double()(params.double(), target.double()), -oracle.log_prob(target.double()).flatten(1).sum(1))
        mean = oracle.mean if part.variant_name() != "student_t" else oracle.loc
        torch.testing.assert_close(module.mean(params.double()), mean)


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_continuous_bernoulli(value: Value) -> None:
    module, params, separate, target = drawn(ContinuousBernoulli(), value, UNIT)
    oracle = D.ContinuousBernoulli(logits=separate[..., 0].double())
    torch.testing.assert_close(module(params.double(), target.double()), -oracle.log_prob(target.double()).flatten(1).sum(1))
    torch.testing.assert_close(module.mean(params.double()), oracle.mean, rtol=1e-5, atol=1e-5)      # torch's series is short


def test_the_normaliser_of_the_continuous_bernoulli() -> None:
    """C(.1) = 2.746531, C(.3) = 2.118245, C(.5) = 2, and no jump where the series begins."""
    chance = torch.tensor([0.1, 0.3, 0.5, 0.5 + 1e-9], dtype=torch.float64)
    constants = log_normaliser(chance.logit()).exp()
    torch.testing.assert_close(constants, torch.tensor([2.746531, 2.118245, 2.0, 2.0], dtype=torch.float64), atol=1e-6, rtol=0)
    near = torch.linspace(-0.1, 0.1, 2001, dtype=torch.float64, requires_grad=True)
    for function in (log_normaliser, continuous_mean):
        slope, = torch.autograd.grad(function(near).sum(), near)
        assert slope.diff().abs().max() < 1e-4
        assert torch.isfinite(function(torch.tensor([-1e4, 0.0, 1e4]))).all()


def integral(part: Likelihood, bounds: Range, params: list[float], low: float, high: float) -> float:
    """Of the density over an interval, by the trapezoid rule."""
    module = part.build_likelihood(Vector(1), bounds).double()
    x = torch.linspace(low, high, 200_001, dtype=torch.float64)
    density = (-module.each(torch.tensor([params], dtype=torch.float64).expand(len(x), -1), x[:, None])).exp()[:, 0]
    return float(torch.trapezoid(density, x))


def test_densities_integrate_to_one() -> None:
    assert integral(Laplace(scale=0.2), REAL, [0.4], -6, 7) == pytest.approx(1, abs=1e-6)
    assert integral(StudentT(df=4, scale=0.2), REAL, [0.4], -200, 200) == pytest.approx(1, abs=1e-6)
    assert integral(StudentT(scale="predicted"), REAL, [0.4, -1.0], -400, 400) == pytest.approx(1, abs=1e-6)
    for logit in (-9.0, -0.01, 0.0, 3.0):
        assert integral(ContinuousBernoulli(), UNIT, [logit], 0, 1) == pytest.approx(1, abs=1e-6)
    edge = 1 / 512                  # closer to the border the density is held
    inside = stats.beta(2.4, 1.6)
    assert integral(Beta(concentration=4), UNIT, [math.log(1.5)], edge, 1 - edge) == pytest.approx(
        inside.cdf(1 - edge) - inside.cdf(edge), abs=1e-6)


@pytest.mark.parametrize("location", [-3.0, -1.0, 0.1, 0.999, 4.0])
@pytest.mark.parametrize("log_scale", [-10.0, -5.0, -1.0, 3.0, 10.0])
def test_the_levels_of_a_logistic_sum_to_one(location: float, log_scale: float) -> None:
    """Over 256 bins, and each is what the difference of two distribution functions is."""
    levels = torch.linspace(-1, 1, 256, dtype=torch.float64)
    log = log_mass(levels, *torch.tensor([location, log_scale], dtype=torch.float64), 256)
    assert log.exp().sum() == pytest.approx(1, abs=1e-9)
    cdf = stats.logistic(location, math.exp(log_scale)).cdf
    edges = np.concatenate([[-np.inf], levels[:-1].numpy() + 1 / 255, [np.inf]])
    np.testing.assert_allclose(log.exp().numpy(), np.diff(cdf(edges)), atol=1e-9)
    assert torch.isfinite(log_mass(levels.float(), torch.tensor(location), torch.tensor(log_scale), 256)).all()


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("bounds", [GRADES, UNIT, Range(-1, 1, levels=7)], ids=str)
def test_discretised_likelihoods_sum_to_one(value: Value, bounds: Range) -> None:
    assert bounds.low is not None and bounds.high is not None
    parts: list[Likelihood] = [DiscretizedLogistic(scale=each) for each in SCALES] + [DiscretizedLogisticMixture(components=2)]
    if bounds == GRADES:
        parts += [Ordinal(), Ordinal(thresholds="per_dim")]
    for part in parts:
        module, params, _, target = drawn(part, value, bounds)
        levels = torch.linspace(bounds.low, bounds.high, 7)
        chances = torch.stack([(-module.each(params, torch.full_like(target, level))).exp() for level in levels.tolist()])
        torch.testing.assert_close(chances.sum(0), torch.ones_like(target))
        assert module.mean(params).shape == target.shape
        assert ((module.mean(params) >= bounds.low) & (module.mean(params) <= bounds.high)).all()
        if isinstance(part, Ordinal):
            torch.testing.assert_close(module.mean(params), (chances * levels.view(-1, *(1,) * target.ndim)).sum(0))


def test_a_mixture_is_one_of_its_components_where_they_are_alike() -> None:
    one = DiscretizedLogistic(scale="predicted").build_likelihood(Vector(1), UNIT)
    two = DiscretizedLogisticMixture(components=2).build_likelihood(Vector(1), UNIT)
    target = torch.linspace(0, 1, 7)[:, None]
    params = torch.tensor([[0.3, -1.2]]).expand(7, -1)
    doubled = torch.tensor([[5.0, -2.0, 0.3, 0.3, -1.2, -1.2]]).expand(7, -1)
    torch.testing.assert_close(two(doubled, target), one(params, target))
    torch.testing.assert_close(two.mean(doubled), one.mean(params))


def test_grades_are_as_likely_at_first() -> None:
    module = Ordinal().build_likelihood(Vector(1), GRADES)
    found = module(torch.zeros(7, 1), torch.arange(7.0)[:, None])
    torch.testing.assert_close(found, torch.full((7,), math.log(7)))


INVERTIBLE: list[tuple[Likelihood, Range]] = [
    (Laplace(), REAL), (StudentT(), REAL), (Huber(), REAL), (Charbonnier(), REAL), (Beta(), UNIT), (ContinuousBernoulli(), UNIT),
    (DiscretizedLogistic(), UNIT), (DiscretizedLogistic(), GRADES), (Ordinal(), GRADES), (Ordinal(thresholds="per_dim"), GRADES)]


@pytest.mark.parametrize(("part", "bounds"), INVERTIBLE, ids=lambda each: str(getattr(each, "type", each)))
def test_the_parameters_of_a_mean_have_that_mean(part: Likelihood, bounds: Range) -> None:
    module = part.build_likelihood(Vector(4), bounds)
    low, high = (-2.0, 2.0) if bounds.low is None else (bounds.low, bounds.high)
    mean = torch.linspace(low, high, 20)[1:-1].view(-1, 1).expand(-1, 4)
    params = module.params_of(mean)
    torch.testing.assert_close(module.mean(params), mean, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(module(params, mean if not bounds.integer else mean.round())).all()


def test_what_is_predicted_too_is_not_known_of_a_mean() -> None:
    for part in (Laplace(scale="predicted"), Beta(concentration="predicted"), DiscretizedLogistic(scale="predicted"),
                 DiscretizedLogisticMixture()):
        assert part.build_likelihood(Vector(2), UNIT).params_of(torch.full((1, 2), 0.5)) is None


@pytest.mark.parametrize("extreme", [-1e6, -100.0, 100.0, 1e6])
def test_extremes_stay_finite(extreme: float) -> None:
    cases: list[tuple[Likelihood, Range]] = [
        (Laplace(scale="predicted"), REAL), (StudentT(scale="predicted"), REAL), (Beta(concentration="predicted"), UNIT),
        (ContinuousBernoulli(), UNIT), (DiscretizedLogistic(scale="predicted"), UNIT), (DiscretizedLogisticMixture(components=2), UNIT),
        (Ordinal(), GRADES)]
    for part, bounds in cases:
        channels = part.plan_output(Vector(2), bounds).channels
        module = part.build_likelihood(Vector(2), bounds)
        for sign in (1, -1):
            params = torch.full((1, 2 * channels), extreme)
            params[:, ::2] *= sign
            params.requires_grad_()
            target = torch.tensor([[0.0, 1.0 if bounds.high in (None, 1) else 6.0]])
            loss = module(params, target).sum()
            loss.backward()
            assert loss.isfinite()
            assert params.grad is not None
            assert params.grad.isfinite().all(), part
            assert module.mean(params).isfinite().all()


def test_robust_errors() -> None:
    error = torch.tensor([[-3.0, -0.2, 0.0, 0.5]])
    zero = torch.zeros_like(error)
    torch.testing.assert_close(Huber(delta=0.4).build_likelihood(Vector(4), REAL).each(error, zero),
                               torch.tensor([[0.4 * 2.8, 0.02, 0.0, 0.4 * 0.3]]))
    torch.testing.assert_close(Charbonnier(epsilon=0.3).build_likelihood(Vector(4), REAL).each(error, zero), (error ** 2 + 0.09).sqrt())


@pytest.mark.parametrize("bounds", [Range(), Range(0, 1), Range(integer=True)], ids=str)
def test_levels_must_be_known(bounds: Range) -> None:
    with pytest.raises(Refusal, match=r"known range|how many levels"):
        DiscretizedLogistic().plan_output(Vector(2), bounds)
    if bounds == Range(0, 1):
        assert DiscretizedLogistic(levels=9).plan_output(Vector(2), bounds).channels == 1


@pytest.mark.parametrize("bounds", [Range(), Range(0, 1), Range(integer=True), Range(-2, 2, integer=True), Range(0, 1, integer=True)], ids=str)
def test_grades_must_be_known(bounds: Range) -> None:
    with pytest.raises(Refusal, match="grades"):
        Ordinal().plan_output(Vector(2), bounds)
    with pytest.raises(Refusal, match="there are 4 grades"):
        Ordinal(grades=4).plan_output(Vector(2), GRADES)
