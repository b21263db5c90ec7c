"""Codes on a sphere, in a hyperbolic ball, of bits and of categories: densities, draws, gradients and divergences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from latent_site import built, site
from scipy import special
from torch import distributions as D
from torch.nn import functional as F

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.values import Grid, Vector
from aebuild.modules.poincare import WrappedNormal, WrappedNormalPrior, added, from_origin, to_origin
from aebuild.modules.relaxed import (
    BernoulliPosterior,
    BernoulliPrior,
    CategoricalPosterior,
    RelaxedBernoulli,
    RelaxedCategorical,
    UniformCategories,
)
from aebuild.modules.sphere import UniformSphere, VonMisesFisher, height_slope, log_area, log_partition
from aebuild.parts.latents.bernoulli import Bernoulli
from aebuild.parts.latents.categorical import Categorical
from aebuild.parts.latents.hyperspherical import Hyperspherical
from aebuild.parts.latents.poincare import Poincare


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def drawn(kind: Any, shape: Any, device: Any, **options: Any) -> torch.Tensor:
    """As `Random.drawn` where one trains alone."""
    numbers: torch.Tensor = kind(shape, device=device, **options)
    return numbers


def fisher(count: int, dim: int, concentration: float) -> VonMisesFisher:
    direction = F.normalize(torch.randn(1, 1, dim, dtype=torch.float64), dim=-1).expand(count, 1, dim)
    kappa = torch.full((count, 1), concentration, dtype=torch.float64, requires_grad=True)
    return VonMisesFisher(direction, kappa, direction[:, 0], 1)


# ----------------------------------------------------------------------------------------------------------------- the sphere


@pytest.mark.parametrize("dim", [2, 3, 8, 50])
@pytest.mark.parametrize("kappa", [1.0, 7.0, 300.0, 1e4])
def test_the_partition_is_that_of_bessel_functions(dim: int, kappa: float) -> None:
    """Davidson et al. (2018), appendix B: KL = κ·I_{m/2}/I_{m/2−1} + (m/2 − 1) ln κ − m/2 ln 2π − ln I_{m/2−1} + ln area."""
    order = dim / 2 - 1
    ratio = special.ive(order + 1, kappa) / special.ive(order, kappa)
    log_bessel = math.log(special.ive(order, kappa)) + kappa
    expected = kappa * ratio + order * math.log(kappa) - dim / 2 * math.log(2 * math.pi) - log_bessel + log_area(dim)
    posterior = fisher(1, dim, kappa)
    assert float(posterior.kl_to_uniform().detach()) == pytest.approx(expected, rel=1e-7, abs=1e-7)
    total, fall = log_partition(posterior.concentration, dim)
    assert float(fall.detach()) + 1 == pytest.approx(ratio, rel=1e-9)
    slope, = torch.autograd.grad(total.sum(), posterior.concentration, retain_graph=True)
    torch.testing.assert_close(slope, fall.detach())
    single = VonMisesFisher(posterior.direction.float(), torch.full((1, 1), kappa), posterior.direction[:, 0].float(), 1)
    assert float(single.kl_to_uniform()) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_the_area_of_spheres() -> None:
    assert [math.exp(log_area(dim)) for dim in (2, 3, 4)] == pytest.approx([2 * math.pi, 4 * math.pi, 2 * math.pi ** 2])


def test_the_density_on_the_sphere_is_one_in_all() -> None:
    points = F.normalize(torch.randn(200_000, 3, dtype=torch.float64), dim=1)
    posterior = fisher(1, 3, 4.0)
    height = points @ posterior.direction[0, 0]
    posterior._height = height.unsqueeze(1)
    assert float(posterior.log_q().exp().mean().detach()) * 4 * math.pi == pytest.approx(1, abs=0.02)
    uniform = UniformSphere((3,), 1)
    assert uniform.log_prob(points[:2]).tolist() == pytest.approx([-math.log(4 * math.pi)] * 2)
    assert uniform.draw(5, torch.device("cpu")).norm(dim=1).tolist() == pytest.approx([1] * 5)


@pytest.mark.parametrize(("dim", "kappa"), [(2, 3.0), (3, 1.0), (5, 20.0), (20, 50.0)])
def test_draws_have_the_right_mean_and_its_gradient(dim: int, kappa: float) -> None:
    """E[z] = A(κ)·μ with A = I_{m/2}/I_{m/2−1}, whose slope is 1 − A² − (m − 1)A/κ; pathwise gradients have that mean."""
    count = 4_000
    posterior = fisher(count, dim, kappa)
    value = posterior.sample(posterior.noise(drawn, 1))
    torch.testing.assert_close(value.norm(dim=1), torch.ones(count, dtype=torch.float64))
    mean = special.ive(dim / 2, kappa) / special.ive(dim / 2 - 1, kappa)
    along = (value * posterior.direction[:, 0]).sum(1)
    error = 4 / math.sqrt(count)
    assert float(along.mean().detach()) == pytest.approx(mean, abs=error * float(along.std().detach()))
    assert float((value - along.unsqueeze(1) * posterior.direction[:, 0]).mean(0).detach().abs().max()) < error
    slopes, = torch.autograd.grad(along.sum(), posterior.concentration)
    assert float(slopes.mean()) == pytest.approx(1 - mean ** 2 - (dim - 1) / kappa * mean, abs=error * float(slopes.std()) + 1e-9)
    expected = float((posterior.log_q() - UniformSphere((dim,), 1).log_prob(value)).mean().detach())
    assert float(posterior.kl_to_uniform()[0].detach()) == pytest.approx(expected, abs=error * kappa)


def test_the_slope_of_a_height_is_that_of_its_quantile() -> None:
    """On the usual sphere the quantile is known: w = 1 + ln(u + (1 − u)e^(−2κ))/κ."""
    for kappa in (0.5, 3.0, 40.0):
        at = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
        chance = torch.linspace(0.02, 0.98, 9, dtype=torch.float64)
        height = 1 + torch.log(chance + (1 - chance) * torch.exp(-2 * at)) / at
        for each in height:
            slope, = torch.autograd.grad(each, at, retain_graph=True)
            torch.testing.assert_close(height_slope(each.detach().view(1), at.detach().view(1), 3)[0], slope, atol=1e-9, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------------- the ball


def test_walks_in_the_ball() -> None:
    """Distances and inverses of the model (Ganea et al., 2018)."""
    c = 0.7
    v = torch.randn(5, 3, dtype=torch.float64)
    z = from_origin(v, c)
    torch.testing.assert_close(to_origin(z, c), v)
    assert (z.norm(dim=1) < 1 / math.sqrt(c)).all()
    distance = 2 / math.sqrt(c) * torch.atanh(math.sqrt(c) * z.norm(dim=1))
    torch.testing.assert_close(distance, v.norm(dim=1))
    x, y = from_origin(torch.randn(5, 3, dtype=torch.float64), c), z
    torch.testing.assert_close(added(-x, added(x, y, c), c), y)
    away = 2 / math.sqrt(c) * torch.atanh(math.sqrt(c) * added(-x, y, c).norm(dim=1))
    cosh = 1 + 2 * c * (x - y).square().sum(1) / ((1 - c * x.square().sum(1)) * (1 - c * y.square().sum(1)))
    torch.testing.assert_close(away, torch.acosh(cosh) / math.sqrt(c))


@pytest.mark.parametrize("c", [0.5, 2.0])
def test_wrapped_normal_densities_are_one_in_all(c: float) -> None:
    """Mathieu et al. (2019), equation 12; the ball's measure is λ² = (2/(1 − c|z|²))² times the plane's."""
    prior = WrappedNormalPrior((2,), 1, 0.6, c)
    axis = torch.linspace(-1, 1, 801, dtype=torch.float64) / math.sqrt(c)
    grid = torch.cartesian_prod(axis, axis)
    grid = grid[grid.norm(dim=1) < 0.9999 / math.sqrt(c)]
    measure = (2 / (1 - c * grid.square().sum(1))).square() * (axis[1] - axis[0]) ** 2
    assert float((prior.log_prob(grid).exp() * measure).sum()) == pytest.approx(1, abs=2e-3)
    draws = prior.draw(20_000, torch.device("cpu"))
    assert float(to_origin(draws, c).std()) == pytest.approx(0.6, abs=0.02)

    log_variance = torch.tensor([[[-1.5, -0.8]]], dtype=torch.float64)
    posterior = WrappedNormal(from_origin(torch.tensor([[[0.4, -0.3]]], dtype=torch.float64), c), log_variance, c, torch.zeros(1, 2), 1)
    seen = _log_q_at(posterior, grid, c)
    assert float((seen.exp() * measure).sum()) == pytest.approx(1, abs=2e-3)


def _log_q_at(posterior: WrappedNormal, points: torch.Tensor, c: float) -> torch.Tensor:
    """The density at given points, by the noise that leads there."""
    way = to_origin(added(-posterior.rows[0], points, c), c)
    noise = way / (0.5 * posterior.log_variance[0]).exp()
    whole = WrappedNormal(posterior.rows, posterior.log_variance, c, torch.zeros(1, 2), 1)
    torch.testing.assert_close(whole.sample(noise[None]), points, atol=1e-6, rtol=1e-6)
    return whole.log_q()


# ------------------------------------------------------------------------------------------------------------ bits, categories


def test_bits_and_their_closed_form() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64)
    for rate in (0.5, 0.1):
        prior, posterior = BernoulliPrior((3,), rate), RelaxedBernoulli(logits, 0.5, hard=True)
        truth = D.kl_divergence(D.Bernoulli(logits=logits), D.Bernoulli(torch.tensor(rate, dtype=torch.float64)))
        torch.testing.assert_close(prior.divergence(posterior, logits), truth)
        value = posterior.sample(posterior.noise(drawn, 4000))
        assert set(value.unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(value.view(4, 4000, 3).mean(1), logits.sigmoid(), atol=0.035, rtol=0)
        torch.testing.assert_close(posterior.log_q(), D.Bernoulli(logits=logits.repeat_interleave(4000, 0)).log_prob(value))
        torch.testing.assert_close(prior.divergence(posterior, value, closed=False).view(4, 4000, 3).mean(1), truth, atol=0.15, rtol=0.1)
        assert float(prior.draw(4000, torch.device("cpu")).mean()) == pytest.approx(rate, abs=0.02)


def test_categories_and_their_closed_form() -> None:
    """KL of (.7, .2, .1) to uniform is .296794, of a certain choice of 512 ln 512 = 6.238325."""
    chances = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    posterior = RelaxedCategorical(chances.log().view(1, 1, 1, 3), 1.0, torch.zeros(1, 3), 1, hard=True)
    prior = UniformCategories((3,), 1, 3)
    assert float(prior.divergence(posterior, chances)) == pytest.approx(0.296794, abs=1e-6)
    certain = RelaxedCategorical(F.one_hot(torch.tensor([[[5]]]), 512).double() * 100, 1.0, torch.zeros(1, 512), 1, hard=True)
    assert float(certain.kl_to_uniform()) == pytest.approx(6.238325, abs=1e-6)
    value = posterior.sample(posterior.noise(drawn, 5000))
    torch.testing.assert_close(value.mean(0), chances, atol=0.03, rtol=0)
    torch.testing.assert_close(posterior.log_q().squeeze(1), (value * chances.log()).sum(1))
    assert float(prior.divergence(posterior, value, closed=False).mean()) == pytest.approx(0.296794, abs=0.05)


def test_relaxed_draws_are_the_papers_and_hard_ones_have_their_gradient() -> None:
    """Jang et al. (2017), equation 2; Maddison et al. (2017), equation 17."""
    torch_bits = D.RelaxedBernoulli(0.7, logits=torch.tensor([0.3]))
    noise = torch.rand(1, 1, 1)
    expected = ((torch.tensor([0.3]) + noise.log() - (-noise).log1p()) / torch_bits.temperature).sigmoid()
    for made, chances in ((BernoulliPosterior, noise), (CategoricalPosterior, torch.rand(1, 1, 1, 2, 3))):
        args = (1, 3) if made is CategoricalPosterior else ()
        numbers = torch.full((1, 6 if args else 1), 0.3, requires_grad=True)
        weight = torch.arange(float(numbers.shape[1]))
        found = []
        for hard in (False, True):
            posterior = made(*args, 0.7, hard=hard)(numbers)
            value = posterior.sample(chances)
            found.append((value.detach(), torch.autograd.grad((value * (1 + weight)).sum(), numbers)[0]))
        torch.testing.assert_close(found[0][1], found[1][1])
        assert set(found[1][0].flatten().tolist()) <= {0.0, 1.0}
        if not args:
            torch.testing.assert_close(found[0][0], expected.view(1, 1))
        else:
            scores = (0.3 - (-chances.log()).log()) / 0.7
            torch.testing.assert_close(found[0][0], scores.softmax(-1).view(1, 6))
        module = made(*args, 0.7, hard=False).eval()
        assert set(module(numbers).sample(chances).flatten().tolist()) <= {0.0, 1.0}             # no relaxation in evaluation


# ------------------------------------------------------------------------------------------------------------------ as latents


@pytest.mark.parametrize("part", [Hyperspherical(dim=3), Poincare(dim=3), Bernoulli(dim=3), Categorical(dim=2, classes=3)],
                         ids=lambda part: part.type)
@pytest.mark.parametrize("per", ["sample", "position"])
def test_codes_lie_where_they_should(part: Any, per: str) -> None:
    value = Grid(4, (2, 3)) if per == "position" else Vector(5)
    part = part.but(per=per)
    plan = part.plan_latent(value, site())
    latent: Any = built(plan.node)
    for draws in (None, 2):
        code = latent(torch.randn(3, *value.shape), None, draws)
        assert code.value.shape == ((draws or 1) * 3, *plan.code.shape)
        assert code.terms["kl"].shape[0] == (draws or 1) * 3
        assert code.terms["kl"].isfinite().all()
    for each in (code.value.detach(), latent.draw(4), latent.settled(torch.rand(3, *plan.code.shape)) if part.type == "hyperspherical" else latent.draw(1)):
        rows = each.movedim(plan.code.feature_axis, -1)
        if part.type == "hyperspherical":
            torch.testing.assert_close(rows.norm(dim=-1), torch.ones(rows.shape[:-1]))
        elif part.type == "poincare":
            assert (rows.norm(dim=-1) < 1).all()
        elif part.type == "bernoulli":
            assert set(each.unique().tolist()) <= {0.0, 1.0}
        else:
            torch.testing.assert_close(rows.unflatten(-1, (2, 3)).sum(-1), torch.ones(*rows.shape[:-1], 2))
    mean = latent(torch.randn(3, *value.shape)).posterior.mean
    assert mean.shape == (3, *plan.code.shape)


def test_the_size_of_a_discrete_code_is_in_bits() -> None:
    plan = Categorical(dim=5, classes=8).plan_latent(Vector(4), site())
    assert (plan.values, plan.bits, plan.code) == (5, 15.0, Vector(40))
    plan = Bernoulli(dim=6, per="position").plan_latent(Grid(3, (2, 2)), site())
    assert (plan.values, plan.bits) == (24, 24.0)


@pytest.mark.parametrize(("spec", "code"), [
    ("latent: {type: hyperspherical, dim: 3, prior: gaussian}", "AE347"), ("latent: {type: gaussian, dim: 3, prior: uniform}", "AE347"),
    ("latent: {type: poincare, dim: 3, prior: uniform}", "AE347"), ("latent: {type: gaussian, dim: 3, prior: bernoulli}", "AE347"),
    ("latent: {type: hyperspherical, dim: 3, prior: {type: uniform, low: 0}}", "AE350"),
    ("latent: {type: bernoulli, dim: 3}\nlosses: {bound: iwae}", "AE351"), ("latent: {type: bernoulli, dim: 3, temperature: 0}", "AE108"),
    ("latent: {type: bernoulli, dim: 3}\nlosses: {dip: 1}", "AE314"), ("latent: {type: bernoulli, dim: 3}\nlosses: {mmd: {prior: gaussian}}", "AE314"),
    ("latent: {type: hyperspherical, dim: 3}\nlosses: {mmd: 1, factor: {network: []}, bound: iwae}", None),
    ("latent: {type: categorical, dim: 3}\nlosses: {mmd: 1}", None), ("latent: {type: poincare, dim: 3}\nlosses: {mmd: 1, bound: iwae}", None),
])
def test_what_goes_together(spec: str, code: str | None) -> None:
    found = load("spec.yaml", text=f"data: wine\nencoder: []\n{spec}\n").errors
    assert [error.code for error in found] == ([] if code is None else [code])


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("latent", ["{type: hyperspherical, dim: 3}", "{type: poincare, dim: 3}", "{type: categorical, dim: 3, classes: 4}",
                                    "{type: gaussian, dim: 3, posterior: iaf}"])
def test_a_recorded_program_takes_the_mean_for_any_batch(latent: str) -> None:
    model: Any = build(load("spec.yaml", text=f"data: wine\nencoder: []\nlatent: {latent}\n").require()).eval()
    program = torch.jit.trace(model, torch.rand(2, 13), check_trace=False)
    x = torch.rand(5, 13)
    torch.testing.assert_close(program(x), model.decode(model.latent.posterior(model.latent.project(x)).mean))


@pytest.mark.parametrize("prior", ["fitted", "uniform"])
def test_a_continuous_code_on_the_sphere(prior: str) -> None:
    """Codes, draws and points between codes have length one at each place; without it nothing is changed."""
    text = f"encoder: {{layer: conv, width: 4, stride: 2}}\nlatent: {{type: continuous, dim: 3, per: position, sphere: true, prior: {prior}}}"
    plan = load("spec.yaml", text=f"data: digits\n{text}").plan
    assert plan is not None
    model = build(plan)
    x = torch.rand(5, 1, 8, 8)
    code = model.encode(x).value
    for found in (code, model.latent.draw(6), model.latent.settled((code + code.flip(0)) / 2)):
        torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found), 4, 4))
    torch.testing.assert_close(code, F.normalize(model.latent.project(model.features(x)), dim=1))
    assert isinstance(model.latent.prior, UniformSphere) == (prior == "uniform")
