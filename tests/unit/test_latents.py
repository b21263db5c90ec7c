"""Latents: what is planned is what is built, and the maths of codes, divergences and players."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from latent_site import latent_of, planned_state, site
from torch import distributions as D
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aebuild.lang.families import Latent
from aebuild.lang.node import Refusal
from aebuild.lang.terms import AUTOENCODER, Role, TermPlan
from aebuild.lang.values import Grid, Sequence, Value, Vector
from aebuild.lang.variational import KlTerm
from aebuild.modules.bounds import LOG_VARIANCE, bounded
from aebuild.modules.code import Code
from aebuild.modules.codebook import CodebookLatent
from aebuild.modules.divergences import bernoulli_kl, gaussian_kl
from aebuild.modules.latent_adversarial import AdversarialLatent
from aebuild.modules.latent_continuous import ContinuousLatent
from aebuild.modules.latent_gaussian import GaussianLatent
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.posteriors import Diagonal
from aebuild.modules.priors import FittedGaussian, GaussianPrior
from aebuild.parts.activations.sigmoid import Sigmoid
from aebuild.parts.codebook_updates.ema import Ema
from aebuild.parts.latents.adversarial import Adversarial
from aebuild.parts.latents.codebook import Codebook, Restart
from aebuild.parts.latents.continuous import Continuous
from aebuild.parts.latents.gaussian import Gaussian
from aebuild.parts.layers.linear import Linear
from aebuild.parts.priors.categorical import Categorical
from aebuild.parts.priors.empirical import Empirical
from aebuild.parts.priors.petals import Petals
from aebuild.parts.priors.swiss_roll import SwissRoll
from aebuild.parts.priors.uniform import Uniform

VALUES: list[Value] = [Vector(24), Grid(6, (5,)), Grid(6, (3, 4)), Grid(6, (2, 3, 2)), Sequence(7, 6)]
LATENTS: list[Any] = [
    Continuous(dim=4), Continuous(dim=4, per="position", activation=Sigmoid()), Continuous(dim=600),
    Gaussian(dim=4), Gaussian(dim=4, per="position"),
    Codebook(dim=4, codes=8), Codebook(dim=4, codes=8, per="sample", groups=2), Codebook(dim=4, codes=600, groups=4),
    Codebook(dim=4, codes=8, groups=2, shared=True, update=Ema(), init="kmeans", restart=Restart(), prior=Empirical()),
    Codebook(dim=4, codes=8, groups=2, update=Ema(), restart=Restart()),
    Adversarial(dim=4, discriminator=[Linear(width=5)]), Adversarial(dim=4, prior=Categorical(), discriminator=[]),
]


def term_of(latent: Any, name: str, code: Code) -> torch.Tensor:
    """A term that is no by-product of encoding."""
    raw: torch.Tensor = latent.losses()[name](Outputs(Batch(code.value, code.value), code))
    return raw


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("part", LATENTS, ids=repr)
def test_what_is_planned_is_built(part: Any, value: Value) -> None:
    if isinstance(value, Vector) and part.per == "position" and not isinstance(part, Codebook):
        with pytest.raises(Refusal, match="no positions"):
            part.plan_latent(value, site())
        return
    plan = part.plan_latent(value, site())
    torch.manual_seed(0)
    latent = latent_of(part, value).eval()
    assert {name: tuple(tensor.shape) for name, tensor in latent.state_dict().items()} == planned_state(plan.node)
    h = torch.randn(3, *value.shape)
    code = latent(h)
    assert code.value.shape == (3, *plan.code.shape) == latent.draw(3).shape
    assert plan.values == code.value[0].numel()
    assert isinstance(part, Codebook) or plan.bits == 32 * plan.values
    assert {term.name for term in plan.terms if term.player == AUTOENCODER} == set(code.terms)
    for term in plan.terms:
        raw = code.terms[term.name] if term.player == AUTOENCODER else term_of(latent, term.name, code)
        assert raw.shape[0] == 3
        assert raw.isfinite().all()
    if isinstance(latent, CodebookLatent) and isinstance(part, Codebook):
        assert plan.bits == math.log2(part.codes) * code.indices[0].numel()
        assert torch.equal(latent.lookup(code.indices), code.value)
    if part.prior.learning == "fitted":
        latent.prior.fit([latent.codes_of(code)])
        assert latent.draw(2).isfinite().all()


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("part", LATENTS, ids=repr)
def test_macs_on_the_meta_device(part: Any, value: Value) -> None:
    if isinstance(value, Vector) and part.per == "position" and not isinstance(part, Codebook):
        pytest.skip("refused")
    plan = part.plan_latent(value, site())
    for training in (False, True):
        latent = latent_of(part, value).to("meta").train(training)
        with FlopCounterMode(display=False) as counter:
            code = latent(torch.empty(3, *value.shape, device="meta"))
        assert code.value.is_meta
        assert latent.draw(2).is_meta
        assert counter.get_total_flops() == 2 * 3 * plan.node.reconstruction_macs


def test_the_projection_starts_where_its_activation_wants() -> None:
    plan = Continuous(dim=4, activation=Sigmoid()).plan_latent(Grid(6, (3, 4)), site())
    assert [(node.path, node.init) for node in plan.node.children] == [
        ("latent.flatten", None), ("latent.projection", "sigmoid"), ("latent.activation", None), ("latent.prior", None)]


def test_kl_closed_forms() -> None:
    mean, variance = torch.tensor([0.5, -1.0], dtype=torch.float64), torch.tensor([0.25, 2.0], dtype=torch.float64)
    kl = gaussian_kl(mean, variance.log())
    assert kl.sum().item() == pytest.approx(1.096574, abs=1e-6)
    torch.testing.assert_close(kl, D.kl_divergence(D.Normal(mean, variance.sqrt()), D.Normal(0.0, 1.0)), check_dtype=False)
    one = gaussian_kl(torch.tensor(1.0), torch.tensor(0.25).log(), 0.0, 4.0)
    assert one.item() == pytest.approx(1.042544, abs=1e-6)
    shifted = gaussian_kl(torch.tensor(1.0), torch.tensor(0.25).log(), 3.0, 4.0)
    assert shifted.item() == pytest.approx(D.kl_divergence(D.Normal(1.0, 0.5), D.Normal(3.0, 2.0)).item(), rel=1e-6)
    assert bernoulli_kl(0.25, torch.tensor(0.1)).item() == pytest.approx(0.092332, abs=1e-6)


def test_bounded_values_can_come_back() -> None:
    x = torch.tensor([-2.0, 0.5, 2.0], requires_grad=True)
    for pull, expected in ((1.0, [0.0, 1.0, 1.0]), (-1.0, [-1.0, -1.0, 0.0])):
        (grad,) = torch.autograd.grad(bounded(x, -1, 1), x, torch.full((3,), pull))
        assert grad.tolist() == expected
    assert bounded(x, -1, 1).tolist() == [-1.0, 0.5, 1.0]


def gaussian(dim: int = 2) -> GaussianLatent:
    return GaussianLatent({}, (dim,), Diagonal(1), GaussianPrior((dim,), 1.0))


def test_a_gaussian_code_is_a_draw_from_its_posterior() -> None:
    mean, log_variance = torch.tensor([1.0, -2.0]), torch.tensor([0.25, 4.0]).log()
    h = torch.cat([mean, log_variance]).expand(200_000, 4)
    latent = gaussian().eval()
    latent.reseed(1)
    code = latent(h)
    torch.testing.assert_close(code.value.mean(0), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(code.value.var(0), torch.tensor([0.25, 4.0]), atol=0, rtol=0.02)
    torch.testing.assert_close(code.terms["kl"][0], gaussian_kl(mean, log_variance))
    latent.reseed(1)
    assert torch.equal(latent(h).value, code.value)
    assert not torch.equal(latent(h).value, code.value)


def test_a_gaussian_code_survives_absurd_log_variances() -> None:
    h = torch.tensor([[0.0, 1e4], [0.0, -1e4]], requires_grad=True)
    code = gaussian(1)(h)
    code.terms["kl"].sum().backward()
    assert code.value.isfinite().all()
    assert h.grad is not None
    assert h.grad.isfinite().all()
    assert h.grad[0, 1] > 0 > h.grad[1, 1]
    assert LOG_VARIANCE == (-20.0, 20.0)


def test_active_units_are_those_whose_mean_varies() -> None:
    h = torch.zeros(64, 6)
    wave = torch.linspace(-1, 1, 64).sign()                          # of variance 1
    h[:, 0], h[:, 1] = wave * math.sqrt(0.011), wave * math.sqrt(0.009)
    assert gaussian(3)(h).metrics["active_units"] == 1               # a variance of more than 0.01 is active


def test_free_bits_hold_each_value_on_the_batch_mean() -> None:
    raw = torch.tensor([[0.0, 1.0], [0.4, 3.0]])                     # batch means 0.2 and 2
    assert KlTerm().reduce(raw, 2) == pytest.approx(2.2)
    assert KlTerm(free_bits=0.5).reduce(raw, 2) == pytest.approx(2.5)
    assert KlTerm(free_bits=0.5, reduction="mean").reduce(raw, 2) == pytest.approx(1.25)
    assert KlTerm(free_bits=3).reduce(raw, 2) == pytest.approx(6)


@pytest.mark.parametrize("full", [True, False])
def test_a_continuous_code_gets_the_gaussian_of_greatest_likelihood(full: bool) -> None:
    torch.manual_seed(0)
    codes = torch.randn(20_000, 3, 1) @ torch.randn(1, 2) + torch.tensor([3.0, -1.0])
    codes[:, 2] = 7.0                                                # constant features are no trouble
    prior = FittedGaussian((3, 2), full=full)
    latent = ContinuousLatent({"projection": nn.Linear(6, 6)}, prior)
    prior.fit(codes.split(3000))
    flat = codes.flatten(1).double()
    torch.testing.assert_close(prior.mean.double(), flat.mean(0), atol=1e-6, rtol=1e-6)
    factor, covariance = prior.factor.double(), flat.T.cov(correction=0)
    assert factor.shape == ((6, 6) if full else (6,))
    torch.testing.assert_close(factor @ factor.T if full else factor.square(), covariance if full else covariance.diagonal(),
                               atol=1e-5, rtol=1e-5)
    drawn = latent.draw(50_000).flatten(1).double()
    torch.testing.assert_close(drawn.mean(0), flat.mean(0), atol=0.05, rtol=0)
    wanted = covariance if full else covariance.diagonal().diag()
    torch.testing.assert_close(drawn.T.cov(), wanted, atol=0.02 * float(covariance.abs().max()), rtol=0)


def test_one_code_can_be_fitted() -> None:
    latent = ContinuousLatent({"projection": nn.Linear(2, 2)}, FittedGaussian((2,), full=True))
    latent.prior.fit([torch.tensor([[1.0, 2.0]])])
    assert latent.draw(2).tolist() == [[1.0, 2.0]] * 2


class Best(nn.Module):
    """The best discriminator of N(shift, 1) codes and N(0, 1) draws: log p − log q."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.shift ** 2 / 2 - self.shift * z


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 2 * math.log(2)), (1.0, 1.163451)])
def test_the_discriminators_optimum(shift: float, expected: float) -> None:
    latent = AdversarialLatent({"projection": nn.Linear(1, 1)}, GaussianPrior((1,), 1.0), Best(shift))
    nn.init.ones_(latent.projection.weight)  # type: ignore[arg-type,union-attr]
    nn.init.constant_(latent.projection.bias, shift)  # type: ignore[arg-type,union-attr]
    h = torch.randn(400_000, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        raw = term_of(latent, "discriminator", latent(h))
    assert raw.shape == (400_000,)
    assert raw.mean().item() == pytest.approx(expected, abs=3e-3 if shift else 1e-6)


def test_players_reach_their_own_parameters() -> None:
    torch.manual_seed(0)
    latent = latent_of(Adversarial(dim=2, discriminator=[Linear(width=5)]), Vector(4))
    h = torch.randn(6, 4)
    judge = [p for name, p in latent.named_parameters() if name.startswith("discriminator")]
    own = [p for name, p in latent.named_parameters() if name.startswith("projection")]
    assert len(judge) == 4
    assert len(own) == 2
    torch.autograd.backward(term_of(latent, "discriminator", latent(h)).sum())
    assert all(p.grad is None for p in own)
    assert all(p.grad is not None for p in judge)
    latent.zero_grad()
    grads = torch.autograd.grad(term_of(latent, "adversarial", latent(h)).sum(), own)
    assert all(grad.abs().sum() > 0 for grad in grads)


def test_a_code_that_fools_lowers_the_generators_term() -> None:
    latent = AdversarialLatent({}, GaussianPrior((1,), 1.0), nn.Identity())
    good, bad = (term_of(latent, "adversarial", latent(torch.full((1, 1), logit))).item() for logit in (3.0, -3.0))
    assert good == pytest.approx(math.log1p(math.exp(-3)), rel=1e-5)
    assert bad == pytest.approx(math.log1p(math.exp(3)), rel=1e-5)


def test_a_categorical_prior_makes_the_code_a_softmax() -> None:
    latent = latent_of(Adversarial(dim=4, prior=Categorical(), discriminator=[]), Vector(4))
    value = latent(torch.randn(5, 4)).value
    torch.testing.assert_close(value.sum(1), torch.ones(5))
    assert (value > 0).all()


def test_the_discriminators_default_is_the_papers() -> None:
    plan = Adversarial(dim=2).plan_latent(Vector(8), site())
    judge = next(node for node in plan.node.children if node.name == "discriminator")
    assert judge.params == 2 * 1000 + 1000 + 1000 * 1000 + 1000 + 1000 + 1
    assert plan.terms == (TermPlan("adversarial", "generator", 1), TermPlan("discriminator", "discriminator", 1))
    generator, discriminator = plan.players
    assert generator == Role("generator", ("encoder", "latent.projection"))
    assert discriminator == Role("discriminator", ("latent.discriminator",), apart=True, through=False)


@pytest.mark.parametrize(("part", "message"), [
    (Adversarial(dim=3, prior=SwissRoll()), "plane"),
    (Adversarial(dim=3, prior=Petals()), "plane"),
    (Adversarial(dim=1, prior=Categorical()), "at least 2"),
    (Adversarial(dim=1, prior=Uniform(low=1.0, high=1.0)), "smaller"),
    (Adversarial(dim=2, per="position"), "one code for the sample"),
    (Codebook(dim=20, codes=4, groups=8), "8 groups do not divide the 20 features"),
], ids=repr)
def test_refusals(part: Latent, message: str) -> None:
    with pytest.raises(Refusal, match=message) as refused:
        part.plan_latent(Grid(3, (4, 4)), site())
    assert refused.value.diagnostic.fix or "smaller" in message


def test_the_fix_for_groups_divides() -> None:
    with pytest.raises(Refusal) as refused:
        Codebook(dim=20, codes=4, groups=8).plan_latent(Vector(3), site())
    assert refused.value.diagnostic.fix == "groups: 5"
    with pytest.raises(Refusal) as refused:
        Codebook(dim=3, codes=4, groups=8).plan_latent(Vector(3), site())
    assert refused.value.diagnostic.fix == "groups: 3"


def test_a_checkpoint_of_before_priors_were_modules_is_read() -> None:
    """`latent.prior_mean` is `latent.prior.mean`."""
    latent = latent_of(Continuous(dim=2), Vector(4))
    old = {name.replace("prior.", "prior_"): torch.full_like(tensor, 3.0) for name, tensor in latent.state_dict().items()}
    assert "prior_mean" in old
    latent.load_state_dict(old)
    assert all((tensor == 3).all() for tensor in latent.state_dict().values())


def test_a_prior_that_is_learned_from_codes_is_less_surprised_by_what_it_saw() -> None:
    """The term is −log p of the codes, which are cut off from the model."""
    latent = latent_of(Codebook(dim=4, codes=8, prior=Empirical()), Vector(4)).eval()
    code = latent(torch.randn(6, 4))
    latent.prior.fit([latent.codes_of(code)])
    surprise = term_of(latent, "prior", code)
    torch.testing.assert_close(surprise, -latent.prior.log_prob(code.indices))
    assert (surprise >= 0).all()
    plain = latent_of(Continuous(dim=2), Vector(4))
    assert not plain.codes_of(plain(torch.randn(3, 4))).requires_grad


def test_a_latent_is_loaded_with_its_own_weights() -> None:
    one, other = (latent_of(Codebook(dim=4, codes=8), Vector(4)) for _ in range(2))
    torch.nn.init.constant_(one.get_parameter("codebook"), 2.0)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other.get_parameter("codebook"), one.get_parameter("codebook"))
