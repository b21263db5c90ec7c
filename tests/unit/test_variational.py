"""The variational family: parts of the KL, discrepancy, covariance, capacity, cycles and importance weights against their papers."""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import distributions as D
from torch import nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.schedule import Ramp, value_at
from aebuild.lang.terms import AUTOENCODER, TermPlan
from aebuild.lang.variational import KlTerm
from aebuild.modules.code import Code
from aebuild.modules.discrepancy import Mmd, unbiased_mmd
from aebuild.modules.factor_critic import FactorCritic
from aebuild.modules.importance import ImportanceWeighted, PartiallyWeighted
from aebuild.modules.inferred_prior import InferredPrior
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.posteriors import DiagonalGaussian
from aebuild.modules.priors import GaussianPrior
from aebuild.modules.randomness import random_modules, reseed
from aebuild.modules.total_correlation import BetaTc, kl_parts, log_shares
from aebuild.parts.penalties.beta_tc import BetaTc as BetaTcPart
from aebuild.trainer.lr import Clock
from aebuild.trainer.objective import LAST, Objective


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def passed(count: int = 5, dim: int = 3, draws: int = 1) -> Outputs:
    """A pass of which only codes and posteriors are known."""
    posterior = DiagonalGaussian(torch.randn(count, dim), torch.randn(count, dim))
    value = posterior.sample(torch.randn(count, draws, dim))
    x = torch.zeros(count, 1)
    return Outputs(Batch(x, x), Code(value, posterior=posterior), draws=draws)


# ------------------------------------------------------------------------------------------------------------ schedules


def test_a_cyclical_schedule_rises_holds_and_begins_anew() -> None:
    """Fu et al. (2019), equations 6 and 7: β = min(τ/R, 1) with τ the share of a cycle that is over."""
    ramp = Ramp.model_validate({"from": 0.0, "to": 2.0, "over": "100%", "cycles": 4, "rise": 0.5})
    total, cycle = 40, 10
    for step in range(total):
        share = (step % cycle) / cycle
        assert value_at(ramp, step, 10, total) == pytest.approx(2 * min(share / 0.5, 1))
    assert value_at(ramp, total, 10, total) == value_at(ramp, LAST, 10, total) == 2
    plain = Ramp.model_validate({"from": 1.0, "to": 3.0})
    assert [value_at(plain, step, 4, 4) for step in range(5)] == [1, 1.5, 2, 2.5, 3]


def test_a_capacity_is_the_distance_of_each_sample_and_moves() -> None:
    """Burgess et al. (2018), equation 9: |KL − C|, with C a schedule; where no moment is told it has arrived."""
    raw = torch.tensor([[1.0, 2.0], [0.0, 0.5]])
    term = KlTerm.model_validate({"capacity": Ramp.model_validate({"from": 0.0, "to": 2.0, "over": "10 steps"})})
    assert float(term.reduce(raw, 2)) == pytest.approx((1 + 1.5) / 2)
    objective = Objective([TermPlan("kl", AUTOENCODER, 2, term)], Clock(10, 10))
    assert [float(objective.reduced({"kl": raw}, step)["kl"]) for step in (0, 5, LAST)] == pytest.approx([1.75, 1.25, 1.25])
    assert float(KlTerm(capacity=1.0, reduction="mean").reduce(raw.sum(1), 2)) == pytest.approx((2 + 0.5) / 2 / 2)
    for wrong in ({"capacity": 1.0, "free_bits": 0.1}, {"capacity": -1.0}):
        with pytest.raises(ValidationError):
            KlTerm.model_validate(wrong)


# --------------------------------------------------------------------------------------------------------- the KL in parts


def log_normal(z: float, mean: float, log_variance: float) -> float:
    return -0.5 * ((z - mean) ** 2 / math.exp(log_variance) + log_variance + math.log(2 * math.pi))


@pytest.mark.parametrize("stratified", [False, True])
def test_the_parts_of_the_kl_are_the_papers(stratified: bool) -> None:
    """Chen et al. (2018), appendix C, with loops in float64."""
    outputs, samples = passed(), 50
    codes, mean, log_variance = (t.double().tolist() for t in (outputs.code.value, outputs.code.posterior.mean, outputs.code.posterior.log_variance))
    n, d = len(codes), len(codes[0])
    expected = []
    for i in range(n):
        def share(j: int, i: int = i) -> float:
            if not stratified:
                return 1 / (n * samples)
            return 1 / samples if j == i else (samples - n + 1) / (samples * (n - 1)) if j == (i + 1) % n else 1 / (n - 1)

        each = [[log_normal(codes[i][k], mean[j][k], log_variance[j][k]) for k in range(d)] for j in range(n)]
        joint = math.log(sum(share(j) * math.exp(sum(each[j])) for j in range(n)))
        marginals = sum(math.log(sum(share(j) * math.exp(each[j][k]) for j in range(n))) for k in range(d))
        prior = sum(log_normal(codes[i][k], 0, 0) for k in range(d))
        expected.append((sum(each[i]) - joint, joint - marginals, marginals - prior))
    log_prior = GaussianPrior((d,), 1.0).log_prob(outputs.code.value).sum(1)
    posterior: Any = outputs.code.posterior
    parts = kl_parts(outputs.code.value, posterior.mean, posterior.log_variance, torch.arange(n), log_prior, samples, stratified=stratified)
    found = torch.stack([parts.mutual_information, parts.total_correlation, parts.dimension_wise], 1)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.sum(1), posterior.log_q().sum(1) - log_prior, rtol=1e-4, atol=1e-4)      # together they are the KL


def test_stratified_shares_are_one_in_all() -> None:
    for batch, samples in ((1, 9), (2, 2), (5, 5), (5, 50), (8, 3)):
        torch.testing.assert_close(log_shares(torch.arange(batch), batch, samples, stratified=True).logsumexp(1), torch.zeros(batch))


def test_the_total_correlation_of_one_posterior_of_all_data_is_zero_and_that_of_a_copied_value_is_not() -> None:
    same = DiagonalGaussian(torch.zeros(64, 2), torch.zeros(64, 2))
    value, owners = same.sample(torch.randn(64, 1, 2)), torch.arange(64)
    parts = kl_parts(value, same.mean, same.log_variance, owners, torch.zeros(64), 64, stratified=True)
    torch.testing.assert_close(parts.total_correlation, torch.zeros(64), atol=1e-4, rtol=0)
    means = torch.randn(64, 1).expand(64, 2) * 3
    copied = DiagonalGaussian(means, torch.full((64, 2), -2.0))
    parts = kl_parts(copied.sample(torch.randn(64, 1, 2)), copied.mean, copied.log_variance, owners, torch.zeros(64), 64, stratified=True)
    assert parts.total_correlation.mean() > 1


def test_beta_tc_adds_what_exceeds_weight_one_also_for_several_draws() -> None:
    prior = GaussianPrior((3,), 1.0)
    outputs = passed(draws=2)
    full = BetaTc((3.0, 5.0, 1.0), 40, prior, stratified=False).loss(outputs)
    alone = [BetaTc(weights, 40, prior, stratified=False).loss(outputs) for weights in ((2.0, 1.0, 1.0), (1.0, 2.0, 1.0))]
    torch.testing.assert_close(full, 2 * alone[0] + 4 * alone[1])
    assert full.shape == (10,)
    torch.testing.assert_close(outputs.metrics["mutual_information"], alone[0].mean())
    with pytest.raises(ValidationError):
        BetaTcPart(alpha=1.0, beta=1.0, gamma=1.0)


# --------------------------------------------------------------------------------------------------------- discrepancies


def naive_mmd(x: torch.Tensor, y: torch.Tensor, kernel: Any) -> float:
    n, m = len(x), len(y)
    within = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within += sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return float(within - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m))


def test_the_discrepancy_is_the_unbiased_estimate() -> None:
    """Gretton et al. (2012), equation 3; the kernels of Tolstikhin et al. (2018), section 4."""
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64) + 1
    for kernel, form in (("rbf", lambda h: lambda a, b: torch.exp(-(a - b).square().sum() / (2 * h * h))),
                         ("imq", lambda h: lambda a, b: 6 * h * h / (6 * h * h + (a - b).square().sum()))):
        expected = naive_mmd(x, y, form(0.7)) + naive_mmd(x, y, form(2.0))
        assert float(unbiased_mmd(x, y, kernel, [0.7, 2.0])) == pytest.approx(expected)


def test_the_discrepancy_is_pythaes() -> None:
    """Its scales are factors of C, ours of the bandwidth; its Gaussian kernel has the C of the other."""
    models = pytest.importorskip("pythae.models")
    x, y = torch.randn(6, 3), torch.randn(6, 3) + 0.5
    for kernel, bandwidths in (("imq", [0.5 * math.sqrt(2), math.sqrt(2)]), ("rbf", [math.sqrt(3 * 2)])):
        theirs = SimpleNamespace(reconstruction_loss_scale=1.0, kernel_choice=kernel, scales=[0.25, 1.0],
                                 model_config=SimpleNamespace(latent_dim=3, kernel_bandwidth=math.sqrt(2), reg_weight=1.0))
        theirs.rbf_kernel = partial(models.WAE_MMD.rbf_kernel, theirs)
        theirs.imq_kernel = partial(models.WAE_MMD.imq_kernel, theirs)
        expected = models.WAE_MMD.loss_function(theirs, x, x, x, y)[2]
        torch.testing.assert_close(unbiased_mmd(x, y, kernel, bandwidths), expected)


def test_the_discrepancy_of_two_normals_is_its_closed_form() -> None:
    """N(0, 1) against N(1, 1), h = 1: 2(1/√3)(1 − e^(−1/6)) = .177268; against itself 0 on average."""
    truth = 2 / math.sqrt(3) * (1 - math.exp(-1 / 6))
    assert math.isclose(truth, 0.177268, abs_tol=1e-6)
    for shift, expected in ((1.0, truth), (0.0, 0.0)):
        found = [float(unbiased_mmd(torch.randn(50, 1), torch.randn(50, 1) + shift, "rbf", [1.0])) for _ in range(400)]
        mean = sum(found) / len(found)
        deviation = math.sqrt(sum((each - mean) ** 2 for each in found) / len(found))
        assert abs(mean - expected) < 4 * deviation / 20
    assert min(found) < 0                      # unbiased, so it can be below zero


def test_the_gradient_of_the_discrepancy_is_finite_at_equal_codes_and_one_sample_has_none() -> None:
    x = torch.zeros(3, 2)
    outputs = Outputs(Batch(x, x), Code(x.clone().requires_grad_()))
    loss = Mmd(GaussianPrior((2,), 1.0), "imq", [1.0]).loss(outputs)
    loss.backward()
    assert outputs.code.value.grad.isfinite().all()
    assert float(Mmd(GaussianPrior((2,), 1.0), "imq", [1.0]).loss(Outputs(Batch(x[:1], x[:1]), Code(x[:1])))) == 0


def test_inferred_priors_are_squared_distances_to_the_identity() -> None:
    """Kumar et al. (2018), equations 6 and 7."""
    posterior = DiagonalGaussian(torch.randn(9, 3), torch.randn(9, 3))
    of_means = posterior.mean.T.cov(correction=0)
    of_codes = of_means + torch.diag(posterior.log_variance.exp().mean(0))
    for noise, covariance in ((False, of_means), (True, of_codes)):
        expected = sum((2.0 if i != j else 5.0) * (float(covariance[i, j]) - (i == j)) ** 2 for i in range(3) for j in range(3))
        assert float(InferredPrior(2.0, 5.0, noise=noise)(posterior.mean, posterior)) == pytest.approx(expected, rel=1e-4)


# ------------------------------------------------------------------------------------------------------- the factor critic


def test_shuffled_codes_keep_each_value_in_its_column_and_break_the_rows() -> None:
    critic = FactorCritic(nn.Identity())
    critic.reseed(3)
    codes = torch.arange(40.0).view(20, 2)
    shuffled = critic.shuffled(codes)
    assert torch.equal(shuffled.sort(0).values, codes)
    assert int((shuffled[:, 1] - shuffled[:, 0] == 1).sum()) < 10


def test_the_best_discriminators_logit_is_the_total_correlation() -> None:
    """For a Gaussian of correlation r the ratio is known, and the total correlation is −½ ln(1 − r²)."""
    r = 0.8
    joint = D.MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, r], [r, 1.0]]))

    class Best(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return (joint.log_prob(z) - D.Normal(0.0, 1.0).log_prob(z).sum(1)).unsqueeze(1)

    critic, codes = FactorCritic(Best()), joint.sample((20_000,)).requires_grad_()
    outputs = Outputs(Batch(codes, codes), Code(codes))
    assert float(critic.correlation(outputs).mean().detach()) == pytest.approx(-0.5 * math.log(1 - r * r), abs=0.03)
    own = critic.tell_apart(outputs)
    assert not own.requires_grad
    assert float(own.mean()) < 2 * math.log(2)
    alike = FactorCritic(nn.Linear(2, 1))
    nn.init.zeros_(alike.network.weight)
    nn.init.zeros_(alike.network.bias)
    torch.testing.assert_close(alike.tell_apart(outputs), torch.full((20_000,), 2 * math.log(2)))


def test_the_factor_discriminator_moves_its_own_weights_and_the_model_its_own() -> None:
    plan = load("spec.yaml", text="data: {type: wine, limit: 20}\nencoder: []\nlatent: {type: gaussian, dim: 2}\n"
                                  "losses: {factor: {network: [linear: 4]}}\ntrain: {batch_size: 10}\n").require()
    players = {player.name: player for player in plan.phases[0].players}
    assert players["factor_discriminator"].modules == ("penalties.factor.network",)
    assert players["factor_discriminator"].terms == ("factor_discriminator",)
    assert "factor" in players["autoencoder"].terms
    assert not any(path.startswith("penalties.factor") for path in players["autoencoder"].modules)
    assert any(name.startswith("penalties.factor.network") for name, _ in build(plan).named_parameters())


# ------------------------------------------------------------------------------------------------------- importance weights


def test_the_importance_weighted_bound_and_its_relatives() -> None:
    """Burda et al. (2016), equation 8; Rainforth et al. (2018), equations 4 and 5."""
    reconstruction, kl = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    weights = (-(reconstruction + kl)).exp()
    terms = {"reconstruction": reconstruction, "kl": kl}
    torch.testing.assert_close(ImportanceWeighted(6, 1, 0.0)(terms), -weights.mean(1).log())
    halves = -(weights[:, :3].mean(1).log() + weights[:, 3:].mean(1).log()) / 2
    torch.testing.assert_close(ImportanceWeighted(3, 2, 0.0)(terms), halves)
    torch.testing.assert_close(ImportanceWeighted(3, 2, 0.25)(terms), 0.75 * halves - 0.25 * weights.log().mean(1))


def test_the_bound_rises_with_draws_and_is_exact_for_the_true_posterior() -> None:
    """p(z) = N(0, 1), p(x|z) = N(z, 1): p(x) = N(0, 2) and the posterior is N(x/2, 1/2)."""
    x = torch.tensor([0.7])
    truth = float(D.Normal(0.0, math.sqrt(2)).log_prob(x))

    def bound(mean: float, variance: float, samples: int, repeats: int) -> float:
        posterior = DiagonalGaussian(torch.full((1, 1), mean), torch.full((1, 1), math.log(variance)))
        z = posterior.sample(torch.randn(1, samples * repeats, 1))
        kl = GaussianPrior((1,), 1.0).divergence(posterior, z, closed=False).view(1, -1)
        return -float(ImportanceWeighted(samples, repeats, 0.0)({"kl": kl, "reconstruction": -D.Normal(z.view(1, -1), 1.0).log_prob(x)}))

    for samples in (1, 2, 5):
        assert bound(0.35, 0.5, samples, 3) == pytest.approx(truth, abs=1e-5)
    found = [bound(0.0, 1.0, samples, 6000 // samples) for samples in (1, 3, 10, 100)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(truth, abs=0.02)
    assert found[-1] <= truth + 0.01


PARTIAL = """
data: wine
encoder: [linear: {width: 6, activation: tanh}]
latent: {type: gaussian, dim: 2, posterior: POSTERIOR}
decoder: [linear: 6, DROPPED]
losses: {reconstruction: {type: gaussian, variance: learned, weight: 0.5}, kl: 0.5, bound: BOUND}
"""


@pytest.mark.parametrize(("posterior", "dropped"), [("diagonal", "dropout: 0.3"), ("iaf", "linear: {width: 5, norm: batch}")])
def test_the_halves_of_a_piwae_follow_different_bounds(posterior: str, dropped: str) -> None:
    """Rainforth et al. (2018), section 4: MIWAE's gradient for the encoder, IWAE's for the decoder, of the same draws."""
    def gradients(bound: str) -> tuple[float, dict[str, torch.Tensor]]:
        text = PARTIAL.replace("POSTERIOR", posterior).replace("DROPPED", dropped).replace("BOUND", bound)
        plan = load("spec.yaml", text=text).require()
        model, part = build(plan).double().train(), plan.spec.losses.bound
        reseed(random_modules(model), 0, 1)
        torch.manual_seed(2)
        objective = Objective(plan.terms, Clock(1, 1), part)
        x = torch.randn(7, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        raw, outputs = model.run_losses(Batch(x, x), objective.names, draws=part.draws)
        loss = objective.loss(objective.reduced(raw, 0, outputs.draws), 0)
        loss.backward()
        statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
        return loss.item(), {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None} | statistics

    value, found = gradients("{type: piwae, samples: 3, repeats: 4}")
    whole, together = gradients("{type: iwae, samples: 12}")
    _, apart = gradients("{type: iwae, samples: 3, repeats: 4}")
    assert value == pytest.approx(whole)
    generative = ("decoder.", "likelihood.")
    assert any(not torch.allclose(together[name], apart[name]) for name in found if not name.startswith(generative))
    assert any(not torch.allclose(together[name], apart[name]) for name in found if name.startswith(generative))
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, (together if name.startswith(generative) else apart)[name], msg=name)


def test_one_bound_of_a_piwae_is_the_iwae() -> None:
    reconstruction, kl = (torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = PartiallyWeighted(6, 1)({"reconstruction": reconstruction, "decoding": reconstruction.detach(), "kl": kl})
    expected = ImportanceWeighted(6, 1, 0.0)({"reconstruction": reconstruction, "kl": kl})
    torch.testing.assert_close(loss, expected)
    for found, known in zip(*(torch.autograd.grad(each.sum(), (reconstruction, kl)) for each in (loss, expected)), strict=True):
        torch.testing.assert_close(found, known)


def test_what_holds_the_kl_has_no_place_in_a_bound_of_single_draws() -> None:
    for option in ("free_bits: 0.1", "capacity: 2"):
        found = load("spec.yaml", text=f"data: wine\nencoder: []\nlatent: {{type: gaussian, dim: 2}}\n"
                                       f"losses: {{bound: iwae, kl: {{{option}}}}}\n").errors
        assert [error.code for error in found] == ["AE351"]


def test_validation_sees_the_weights_that_schedules_arrive_at(tmp_path: Any) -> None:
    """A bound joins weighted terms, so a KL that grows from nothing must count in full where models are compared."""
    ramp = Ramp.model_validate({"from": 0.0, "to": 2.0, "over": "10 steps"})
    bound: Any = SimpleNamespace(joined=("reconstruction", "kl"), beside=(), balances=False, build_bound=lambda: lambda terms: terms["kl"].mean(1))
    objective = Objective([TermPlan("reconstruction", AUTOENCODER, 1), TermPlan("kl", AUTOENCODER, 1, KlTerm(weight=ramp))], Clock(1, 1), bound)
    raw = {"reconstruction": torch.zeros(2), "kl": torch.ones(2)}
    assert float(objective.reduced(raw, LAST)["bound"]) == 2


@pytest.mark.parametrize(("latent", "term", "words"), [
    ("continuous", "beta_tc: {beta: 2}", "diagonal posterior"), ("continuous", "dip: {of: codes}", "without noise"),
    ("codebook, codes: 4", "mmd: 1", "entries"), ("codebook, codes: 4", "factor: 1", "entries"),
    ("continuous", "mmd: {bandwidths: [0]}", "positive"), ("continuous", "mmd: {prior: fitted}", "before they are known"),
])
def test_penalties_that_do_not_fit_say_why(latent: str, term: str, words: str) -> None:
    found = load("spec.yaml", text=f"data: wine\nencoder: []\nlatent: {{type: {latent}, dim: 2}}\nlosses: {{{term}}}\n").errors
    assert [error.code for error in found] == ["AE314"]
    assert words in found[0].message
