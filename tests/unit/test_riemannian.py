"""The metric of the codes: its closed forms, the integrator and posterior that move in it, and the draws by its volume."""

from __future__ import annotations

import math

import pytest
import torch
from bent_density import bent, slope
from torch import Tensor
from torch import distributions as D

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.hamiltonian import leapfrog
from aebuild.modules.metric import Metric
from aebuild.modules.outputs import Batch
from aebuild.modules.posteriors import DiagonalGaussian
from aebuild.modules.prior_manifold import ManifoldPrior
from aebuild.modules.randomness import random_modules, reseed
from aebuild.modules.riemannian import Riemannian, curved_leapfrog

pytestmark = pytest.mark.usefixtures("double_precision")

MODEL = """
data: wine
encoder: [linear: {width: 6, activation: tanh}]
latent: {type: gaussian, dim: 3, prior: {type: manifold, exemplars: 9, floor: 0.1}, posterior: {type: riemannian, steps: 2, step_size: 0.1, subset: 4}}
decoder: [linear: {width: 5, activation: tanh}]
losses: {reconstruction: gaussian}
"""
CPU = torch.device("cpu")


def triangles(count: int, size: int) -> Tensor:
    return torch.randn(count, size, size).tril(-1) + (0.3 * torch.randn(count, size)).exp().diag_embed()


def metric(size: int = 2, count: int = 3) -> Metric:
    lower = triangles(count, size)
    return Metric(torch.randn(count, size), lower @ lower.mT, 1.3, 0.2)


def inverse(z: Tensor, held: Metric) -> Tensor:
    """G⁻¹ at one code [D], term by term."""
    found = held.floor * torch.eye(len(z))
    for centre, matrix in zip(held.centroids, held.matrices, strict=True):
        found = found + matrix.view(len(z), len(z)) * torch.exp(-((z - centre) ** 2).sum() / held.reach ** 2)
    return found


def energy(z: Tensor, momentum: Tensor, held: Metric) -> Tensor:
    """−log N(ρ; 0, G(z))."""
    return -D.MultivariateNormal(torch.zeros(len(z)), precision_matrix=inverse(z, held)).log_prob(momentum)


def test_the_metric_its_volume_and_its_force_are_the_papers() -> None:
    held, z, momentum = metric(), torch.randn(4, 2), torch.randn(4, 2)
    place = held.at(z)
    for n in range(4):
        torch.testing.assert_close(place.inverse[n], inverse(z[n], held))
        torch.testing.assert_close(place.matrix[n], inverse(z[n], held).inverse())
        torch.testing.assert_close(place.log_root()[n], 0.5 * inverse(z[n], held).logdet())
        torch.testing.assert_close(place.energy(momentum)[n] + math.log(2 * math.pi), energy(z[n], momentum[n], held))
        at = z[n].clone().requires_grad_()
        torch.testing.assert_close(place.force(momentum)[n], torch.autograd.grad(energy(at, momentum[n], held), at)[0])
        torch.testing.assert_close(place.force()[n], torch.autograd.grad(-0.5 * inverse(at, held).logdet(), at)[0])
    noise = torch.randn(4, 2)
    torch.testing.assert_close((place.heated(noise) * place.velocity(place.heated(noise))).sum(1), noise.square().sum(1))


def test_the_metric_of_one_sample_is_known() -> None:
    lower = triangles(1, 3)
    held, z = Metric(torch.ones(1, 3), lower @ lower.mT, 2.0, 0.0), torch.tensor([[1.0, 1.0, 3.0]])
    torch.testing.assert_close(held.at(z).inverse, lower @ lower.mT / math.e)
    torch.testing.assert_close(held.at(z).log_root(), lower[0].diagonal().log().sum().view(1) - 1.5)


def test_a_step_is_the_generalised_integrators() -> None:
    """Its three equations hold, by gradients of the energy; it undoes itself, keeps volume, and in a flat space is the plain one."""
    held, step = metric(), torch.tensor([0.1, 0.2])
    value, momentum = torch.randn(1, 2), torch.randn(1, 2)

    def move(value: Tensor, momentum: Tensor, step: Tensor = step) -> tuple[Tensor, Tensor]:
        return curved_leapfrog(value, momentum, slope(value), held.at(value), step, slope, 60)[:2]

    def pushed(z: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        z, rho = z[0].clone().requires_grad_(), rho[0].clone().requires_grad_()
        found = torch.autograd.grad(energy(z, rho, held) - bent(z.view(1, -1)).sum(), (z, rho))
        return found[0].view(1, -1), found[1].view(1, -1)

    place, speed = move(value, momentum)
    halfway = momentum
    for _ in range(60):
        halfway = momentum - step / 2 * pushed(value, halfway)[0]
    torch.testing.assert_close(place, value + step / 2 * (pushed(value, halfway)[1] + pushed(place, halfway)[1]))
    torch.testing.assert_close(speed, halfway - step / 2 * pushed(place, halfway)[0])
    back, turned = move(place, -speed)
    torch.testing.assert_close((back, -turned), (value, momentum))
    jacobian = torch.autograd.functional.jacobian(lambda both: torch.cat(move(both[:1], both[1:])), torch.cat([value, momentum]))
    assert float(torch.linalg.slogdet(jacobian.view(4, 4)).logabsdet) == pytest.approx(0, abs=1e-9)

    def drift(size: float) -> float:
        moved, fast = move(value, momentum, torch.tensor(size))
        return (energy(moved[0], fast[0], held) - bent(moved) - energy(value[0], momentum[0], held) + bent(value)).item()

    assert drift(0.005) == pytest.approx(drift(0.01) / 8, rel=0.2)             # an error of the third order
    held = Metric(torch.zeros(1, 2), torch.zeros(1, 2, 2), 1.0, 1.0)
    torch.testing.assert_close(move(value, momentum), leapfrog(value, momentum, slope(value), step, slope)[:2])


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_density_of_a_draw_is_that_of_its_noise_by_its_volume(steps: int) -> None:
    """log q(z, ρ) − log N(ρ; 0, G(z)) of the last place and momentum, by autograd's Jacobian."""
    module, held = Riemannian(2, steps, 0.2, 0.4, 60, 3), metric()
    numbers, noise = torch.randn(1, 7), torch.randn(1, 1, 2, 2)
    posterior = module(numbers)
    posterior.follow(bent)
    posterior.bend(lambda: held)

    def ends(noise: Tensor) -> Tensor:
        place = posterior.base.sample(noise[:, :, 0])
        here = held.at(place)
        return torch.cat(posterior._moved(place, posterior.heat * here.heated(noise[:, :, 1].flatten(0, 1)), here, True)[:2])

    value = posterior.sample(noise)
    place, momentum = ends(noise)
    torch.testing.assert_close(value[0], place)
    volume = torch.linalg.slogdet(torch.autograd.functional.jacobian(ends, noise).view(4, 4)).logabsdet
    log_q = D.Normal(0.0, 1.0).log_prob(noise).sum() - volume
    posterior.sample(noise)
    torch.testing.assert_close(posterior.log_q()[0], log_q + energy(place, momentum, held))


def test_the_triangle_is_read_row_by_row() -> None:
    triangle = Riemannian(2, 1, 0.1, 0.5, 1, 1)(torch.tensor([[0.0, 0, 0, 0, math.log(2), 3, math.log(5)]])).stretch()
    lower = torch.tensor([[2.0, 0], [3, 5]])
    torch.testing.assert_close(triangle[0], lower @ lower.T)


def test_the_model_moves_in_the_metric_of_the_exemplars() -> None:
    """In training of some of them with a gradient to their matrices, in evaluation of all; draws keep that of the trained encoder."""
    model, x = build(load("spec.yaml", text=MODEL).require()).double(), torch.randn(4, 13)
    prior, posterior = model.latent.prior, model.latent.posterior
    held = torch.randn(9, 13)
    prior.begin(held)
    reseed(random_modules(model), 0, 1)
    first, again = (set(map(tuple, prior.metric(4).centroids.tolist())) for _ in range(2))
    every = set(map(tuple, model.posterior_of(held).mean.tolist()))
    assert len(first) == 4 and first != again and all(any(math.dist(a, b) < 1e-9 for b in every) for a in first)
    outputs = model.run(Batch(x, x))
    found, = torch.autograd.grad(outputs.terms["kl"].sum(), model.latent.get_submodule("projection").weight)
    assert found[6:].abs().sum(1).min() > 0                                   # triangles
    model.eval()
    reseed(random_modules(model), 0, 2)
    value, kl = (outputs := model.run(Batch(x, x))).code.value, outputs.terms["kl"]
    reseed(random_modules(model), 0, 2)
    around = model.posterior_of(held)
    alone = model.posterior_of(x)
    alone.bend(lambda: Metric(around.mean, around.stretch(), 1.0, 0.1))
    alone.follow(lambda z: D.Normal(0.0, 1.0).log_prob(z).sum(1) - model.likelihood(model.decoder(z), x))
    torch.testing.assert_close(value, alone.sample(alone.noise(model.latent.drawn, 1)))
    torch.testing.assert_close(kl, alone.log_q() - D.Normal(0.0, 1.0).log_prob(value).sum(1))
    assert posterior.rounds == 3
    prior.fit([])
    torch.testing.assert_close((prior.centroids, prior.matrices), (around.mean, around.stretch()))


def manifold(centroids: Tensor, matrices: Tensor, reach: float, floor: float) -> ManifoldPrior:
    prior = ManifoldPrior((centroids.shape[1],), (3,), len(centroids), reach, floor, 30, 4, 0.3)
    prior.centroids.copy_(centroids)
    prior.matrices.copy_(matrices)
    return prior


def test_draws_have_the_density_of_the_metrics_volume() -> None:
    """In one dimension √G⁻¹ over its integral, cell by cell; around one sample without floor N(c, T²/D·1) for any matrix."""
    prior = manifold(torch.tensor([[-1.5], [1.0]]), torch.tensor([[[1.0]], [[4.0]]]), 1.2, 1e-6)
    edges = torch.linspace(-6, 6, 25)
    fine = torch.linspace(-6, 6, 2401)
    density = prior._metric_of(prior.centroids, prior.matrices).at(fine.view(-1, 1)).log_root().exp()
    below = torch.cumulative_trapezoid(density, fine)
    wanted = torch.diff(torch.cat([torch.zeros(1), below])[::100]) / below[-1]
    drawn = prior.draw(4000, CPU).flatten()
    inside = drawn[drawn.abs() < 6]
    found = torch.histogram(inside, edges).hist / len(inside)
    assert len(inside) > 3980 and float((found - wanted).abs().max()) < 0.02
    prior = manifold(torch.tensor([[1.0, 2.0]]), torch.tensor([[[2.0, 0.5], [0.5, 1.0]]]), 1.0, 1e-9)
    codes = prior.draw(4000, CPU)
    torch.testing.assert_close(codes.mean(0), torch.tensor([1.0, 2.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(codes.T.cov(), 0.5 * torch.eye(2), atol=0.05, rtol=0)


def test_a_gaussian_posterior_stretches_by_its_covariance() -> None:
    posterior = DiagonalGaussian(torch.zeros(1, 2), torch.tensor([[0.0, math.log(4)]]))
    torch.testing.assert_close(posterior.stretch()[0], torch.diag(torch.tensor([1.0, 4.0])))
