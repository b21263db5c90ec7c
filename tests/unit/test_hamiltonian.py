"""The Hamiltonian posterior: its integrator, its volume, its bound, and that the whole model tells it what to follow."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from bent_density import bent, slope
from torch import Tensor
from torch import distributions as D

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.hamiltonian import Hamiltonian, Led, leapfrog
from aebuild.modules.outputs import Batch
from aebuild.modules.posteriors import DiagonalGaussian
from aebuild.modules.randomness import random_modules, reseed
from aebuild.results.ejection.eject import eject
from aebuild.trainer.phase import ActivePhase

pytestmark = pytest.mark.usefixtures("double_precision")

MODEL = """
data: wine
encoder: [linear: {width: 6, activation: tanh}]
latent: {type: gaussian, dim: 3, PRIORposterior: {type: hamiltonian, steps: 3, step_size: 0.2, temper: 0.4}}
decoder: [linear: {width: 5, activation: tanh}]
losses: {reconstruction: gaussian}
"""


def test_a_leapfrog_step_undoes_itself_and_keeps_volume_and_nearly_energy() -> None:
    step, value, momentum = torch.tensor([0.1, 0.2]), torch.randn(1, 2), torch.randn(1, 2)
    place, speed, there = leapfrog(value, momentum, slope(value), step, slope)
    torch.testing.assert_close(there, slope(place))
    back, turned, _ = leapfrog(place, -speed, there, step, slope)
    torch.testing.assert_close((back, -turned), (value, momentum))

    def both(state: Tensor) -> Tensor:
        moved = leapfrog(state[:1], state[1:], slope(state[:1]), step, slope)
        return torch.cat(moved[:2])

    jacobian = torch.autograd.functional.jacobian(both, torch.cat([value, momentum])).view(4, 4)
    assert float(torch.linalg.slogdet(jacobian).logabsdet) == pytest.approx(0, abs=1e-12)

    def drift(size: float) -> float:
        moved, fast, _ = leapfrog(value, momentum, slope(value), torch.tensor(size), slope)
        return abs((bent(moved) - fast.square().sum() / 2 - bent(value) + momentum.square().sum() / 2).item())

    assert drift(0.01) == pytest.approx(drift(0.02) / 8, rel=0.2)              # an error of the third order


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_the_density_of_a_draw_is_that_of_its_noise_by_its_volume(steps: int) -> None:
    """log q(z, ρ) of the last place and momentum, by autograd's Jacobian; the tempering's volume is dim/2·log β₀ (Caterini et al., 2018)."""
    module = Hamiltonian(1, 2, steps, 0.3, 0.4)
    numbers, noise = torch.randn(1, 4), torch.randn(1, 1, 2, 2)

    def ends(noise: Tensor) -> Tensor:
        posterior = module(numbers)
        posterior.follow(bent)
        place = posterior.base.sample(noise[:, :, 0])
        return torch.cat(posterior._led(place, posterior.heat * noise[:, :, 1].flatten(0, 1), True))

    posterior = module(numbers)
    posterior.follow(bent)
    value = posterior.sample(noise)
    place, momentum = ends(noise)
    torch.testing.assert_close(value[0], place)
    volume = torch.linalg.slogdet(torch.autograd.functional.jacobian(ends, noise).view(4, 4)).logabsdet
    log_q = D.Normal(0.0, 1.0).log_prob(noise).sum() - volume
    torch.testing.assert_close(posterior.log_q()[0], log_q - D.Normal(0.0, 1.0).log_prob(momentum).sum())
    torch.testing.assert_close(volume, 0.5 * posterior.base.log_variance.sum())           # heated and cooled, it is the Gaussian's own
    if not steps:
        plain = DiagonalGaussian(posterior.base.mean, posterior.base.log_variance)
        torch.testing.assert_close(value, plain.sample(noise[:, :, 0]))
        torch.testing.assert_close(posterior.log_q(), plain.log_q().sum(1))


def test_the_bound_is_the_papers_step_by_step() -> None:
    """Caterini et al. (2018), algorithm 1, draw by draw, with the quadratic tempering of its equation 9."""
    steps, size, beta = 3, 0.3, 0.4
    module, numbers, noise = Hamiltonian(1, 2, steps, size, beta), torch.randn(2, 4), torch.randn(2, 3, 2, 2)
    posterior = module(numbers)
    posterior.follow(bent)
    value, log_q = posterior.sample(noise).view(2, 3, 2), posterior.log_q().view(2, 3)
    root = [(1 - 1 / math.sqrt(beta)) * k ** 2 / steps ** 2 + 1 / math.sqrt(beta) for k in range(steps + 1)]          # 1/√β_k
    for i in range(2):
        start = D.Normal(numbers[i, :2], (0.5 * numbers[i, 2:]).exp())
        for j in range(3):
            z = first = start.mean + start.stddev * noise[i, j, 0]
            rho = begun = noise[i, j, 1] / math.sqrt(beta)
            for k in range(1, steps + 1):
                rho = rho + size / 2 * slope(z.view(1, -1))[0]
                z = z + size * rho
                rho = root[k] / root[k - 1] * (rho + size / 2 * slope(z.view(1, -1))[0])
            torch.testing.assert_close(value[i, j], z)
            momentum = D.Normal(0.0, beta ** -0.5).log_prob(begun).sum() - D.Normal(0.0, 1.0).log_prob(rho).sum()
            torch.testing.assert_close(log_q[i, j], start.log_prob(first).sum() + momentum - math.log(beta), check_dtype=False)


def test_the_bound_of_a_linear_gaussian_model_is_known_and_tighter_than_without_steps() -> None:
    """p(z) = N(0, 1), p(x|z) = N(z, 1): p(x) = N(0, 2). The steps are linear, so that place and momentum are Gaussian.

    The bound is log p(x) less their divergence to the true posterior N(x/2, 1/2) and the momentum's N(0, 1). The draws begin at the prior.
    """
    x = torch.tensor([2.5])
    truth = float(D.Normal(0.0, math.sqrt(2)).log_prob(x))
    goal = D.MultivariateNormal(torch.tensor([1.25, 0.0]), torch.diag(torch.tensor([0.5, 1.0])))

    def joint(value: Tensor) -> Tensor:
        return (D.Normal(0.0, 1.0).log_prob(value) + D.Normal(value, 1.0).log_prob(x)).sum(1)

    def led(steps: int, size: float, beta: float) -> Led:
        posterior: Led = Hamiltonian(1, 1, steps, size, beta)(torch.zeros(1, 2))
        posterior.follow(joint)
        return posterior

    def closed(steps: int, size: float, beta: float) -> float:
        posterior, axes = led(steps, size, beta), torch.cat([torch.zeros(1, 2), torch.eye(2)]).unsqueeze(2)          # 0 and both noises
        ends = torch.cat(posterior._led(posterior.base.mean + axes[:, 0], posterior.heat * axes[:, 1], False), 1) if steps else axes[:, :, 0]
        jacobian = (ends[1:] - ends[0]).T.detach()
        return truth - float(D.kl_divergence(D.MultivariateNormal(ends[0].detach(), jacobian @ jacobian.T), goal))

    for way in ((0, 0.1, 0.5), (2, 0.3, 0.3), (4, 0.3, 0.1)):
        posterior = led(*way)
        with torch.no_grad():
            weights = joint(posterior.sample(torch.randn(1, 20_000, 2, 1))) - posterior.log_q()
        assert float(weights.mean()) == pytest.approx(closed(*way), abs=0.05)
        assert float(weights.logsumexp(0) - math.log(20_000)) == pytest.approx(truth, abs=0.2)           # the weights are without bias
    best = [max(closed(steps, size, beta) for size in (0.2, 0.4, 0.6, 0.8, 1.0) for beta in (0.1, 0.3, 0.6, 0.9)) for steps in (0, 1, 2, 4)]
    assert all(best[0] + 0.5 < each < truth for each in best[1:])


@pytest.mark.parametrize("prior", ["", "prior: {type: mixture, components: 2}, "])
def test_the_model_tells_its_posterior_the_joint_density(prior: str) -> None:
    """The draws are those of steps along log p(x|z) + log p(z), with 1 and 2 draws, with and without a gradient."""
    model = build(load("spec.yaml", text=MODEL.replace("PRIOR", prior)).require()).double()
    x = torch.randn(4, 13)
    for draws in (None, 2):
        reseed(random_modules(model), 0, 1)
        outputs = model.run(Batch(x, x), draws=draws)
        reseed(random_modules(model), 0, 1)
        posterior: Any = model.latent.posterior(model.latent.project(model.encoder(x)))
        assert isinstance(posterior, Led)

        rows = x.repeat_interleave(draws or 1, 0)

        def joint(value: Tensor, rows: Tensor = rows) -> Tensor:
            log_prior = model.latent.prior.log_prob(value)
            return log_prior.view(len(value), -1).sum(1) - model.likelihood(model.decoder(value), rows)

        posterior.follow(joint)
        value = posterior.sample(posterior.noise(model.latent.drawn, draws or 1))
        torch.testing.assert_close(outputs.code.value, value)
        log_prior = model.latent.prior.log_prob(value)
        torch.testing.assert_close(outputs.terms["kl"], posterior.log_q() - log_prior.view(len(value), -1).sum(1))
        reseed(random_modules(model), 0, 1)
        with torch.no_grad():
            torch.testing.assert_close(model.run(Batch(x, x), draws=draws).code.value, value)
    for parameter in model.latent.posterior.parameters():
        (gradient,) = torch.autograd.grad(outputs.terms["kl"].sum(), parameter, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_it_cannot_be_ejected_and_says_why() -> None:
    with pytest.raises(Exception, match="follows the likelihood"):
        eject(load("spec.yaml", text=MODEL.replace("PRIOR", "")).require())


METRIC = MODEL.replace("PRIOR", "prior: {type: manifold, exemplars: 9}, ").replace("hamiltonian", "riemannian, subset: 4")


@pytest.mark.parametrize(("text", "bound"), [(MODEL, "sum"), (MODEL, "{type: piwae, samples: 2, repeats: 2}"), (METRIC, "sum")])
def test_a_batch_in_parts_is_led_like_the_whole(text: str, bound: str) -> None:
    """Each part takes its rows of the whole batch's noise, and the whole's metric, so that the updates agree."""
    plan = load("spec.yaml", text=text.replace("PRIOR", "").replace("gaussian}\n", f"gaussian, bound: {bound}}}\n")).require()
    held = torch.randn(9, 13)
    x, ended = torch.randn(7, 13), []
    for parts in (1, 3):
        model = build(plan).double()
        if model.latent.prior.held:
            model.latent.prior.begin(held)
        active = ActivePhase(plan, plan.phases[0], model, frozenset(name for name, _ in model.named_parameters()), 7)
        active.enter(0)
        for step in range(2):
            active.players[0].passes.begin()
            active.players[0].update(Batch(x, x), step, partial(reseed, random_modules(model), 0, step), parts)
        ended.append(dict(model.named_parameters()))
    torch.testing.assert_close(*ended)
    assert not torch.equal(ended[0]["latent.posterior.log_step"], torch.full((3,), math.log(0.2)))
