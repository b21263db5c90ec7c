"""Learned priors: densities against references, draws against densities, causality, and what is learned afterwards."""

from __future__ import annotations

import copy
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from latent_site import built, latent_of, planned_state, site
from torch import Tensor, distributions, nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.node import Refusal
from aebuild.lang.values import Grid, Sequence, Tokens, Value, Vector
from aebuild.modules.causal import CausalGru, CausalTransformer
from aebuild.modules.code import Code
from aebuild.modules.discrete import DiscreteLatent
from aebuild.modules.latent_continuous import ContinuousLatent
from aebuild.modules.outputs import Batch
from aebuild.modules.pixelcnn import PixelCnnPrior
from aebuild.modules.posteriors import DiagonalGaussian
from aebuild.modules.prior_autoregressive import AutoregressiveCodes, AutoregressiveTokens, picked
from aebuild.modules.prior_flow import TwoStagePrior
from aebuild.modules.prior_masked import MaskedPrior
from aebuild.modules.prior_mixture import ExemplarPrior, FittedMixture, MixturePrior, VampPrior, mixed
from aebuild.modules.priors import GaussianPrior, UniformPrior
from aebuild.parts.latents.continuous import Continuous
from aebuild.parts.latents.gaussian import Gaussian
from aebuild.parts.priors.autoregressive import Autoregressive
from aebuild.parts.priors.flow import Flow
from aebuild.parts.priors.masked import Masked
from aebuild.parts.priors.mixture import Mixture
from aebuild.parts.priors.pixelcnn import Pixelcnn
from aebuild.parts.priors.two_stage import TwoStage
from aebuild.results.inference.passes import Pass
from aebuild.results.inference.scorer import surprise_of_prior
from aebuild.trainer.batches.codes import give_samples

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def stirred(module: Any, spread: float = 0.5) -> Any:
    """The module with weights that matter."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, spread)
    return module.eval()


# ------------------------------------------------------------------------------------------------------------------ mixtures


@pytest.mark.parametrize("full", [False, True])
def test_a_mixture_has_the_density_of_torchs(full: bool) -> None:
    prior = stirred(MixturePrior((2, 2), 3, full=full))
    z = torch.randn(7, 2, 2)
    if full:
        parts: Any = distributions.MultivariateNormal(prior.means, scale_tril=prior.factors())
    else:
        parts = distributions.Independent(distributions.Normal(prior.means, prior.spread.exp()), 1)
    known = distributions.MixtureSameFamily(distributions.Categorical(logits=prior.shares), parts)
    torch.testing.assert_close(prior.log_prob(z), known.log_prob(z.flatten(1)))
    prior.reseed(1)
    drawn = prior.draw(40_000, CPU).flatten(1)
    torch.testing.assert_close(drawn.mean(0), known.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.var(0), known.variance, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("full", [False, True])
def test_a_fitted_mixture_is_that_of_scikit_learn(full: bool) -> None:
    centres = torch.tensor([[0.0, 0.0], [4.0, 1.0], [-3.0, 5.0]])
    z = centres[torch.arange(600) % 3] + torch.randn(600, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.5]])
    prior = FittedMixture((2,), 3, full=full)
    prior.fit(z.split(250))
    from sklearn.mixture import GaussianMixture

    known = GaussianMixture(3, covariance_type="full" if full else "diag", random_state=0, tol=1e-6, max_iter=300).fit(z.numpy())
    assert float(prior.log_prob(z).mean()) == pytest.approx(known.score(z.numpy()), abs=2e-3)
    np.testing.assert_allclose(np.sort(prior.shares.softmax(0).numpy()), np.sort(known.weights_), atol=5e-3)
    np.testing.assert_allclose(np.sort(prior.means.numpy(), 0), np.sort(known.means_, 0), atol=2e-2)


def test_components_that_nothing_belongs_to_do_no_harm() -> None:
    prior = FittedMixture((2,), 5, full=True)
    prior.fit([torch.zeros(4, 2)])
    assert prior.log_prob(torch.zeros(2, 2)).isfinite().all()


# ---------------------------------------------------------------------------------------------------------- posteriors of samples


class Encoding(nn.Module):
    """Stands for an encoder: means and log-variances of samples [n, 3] as codes [n, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> DiagonalGaussian:
        mean, log_variance = self.map(x).chunk(2, 1)
        return DiagonalGaussian(mean, log_variance)


def test_a_vamp_prior_is_the_mean_of_posteriors_and_teaches_the_encoder() -> None:
    encoder, prior, z = Encoding(), VampPrior((2,), (3,), 5), torch.randn(4, 2)
    prior.meet(encoder)
    prior.begin(samples := torch.randn(3, 3))
    torch.testing.assert_close(prior.inputs.detach(), samples[[0, 1, 2, 0, 1]])
    posterior = encoder(prior.inputs.detach())
    posterior = DiagonalGaussian(posterior.mean.detach(), posterior.log_variance.detach())
    naive = [[sum(distributions.Normal(m, (0.5 * v).exp()).log_prob(at).double() for m, v, at in zip(mean, spread, row, strict=True))
              for mean, spread in zip(posterior.mean, posterior.log_variance, strict=True)] for row in z]
    known = torch.tensor(naive).logsumexp(1) - math.log(5)
    found = prior.log_prob(z)
    torch.testing.assert_close(found.double(), known)
    found.sum().backward()
    assert encoder.map.weight.grad is not None and prior.inputs.grad is not None and prior.inputs.grad.abs().min() > 0
    assert prior.draw(6, CPU).shape == (6, 2)


def test_exemplars_leave_out_the_sample_itself_in_training_alone() -> None:
    encoder, prior = Encoding(), ExemplarPrior((2,), (3,), 6, 6)
    prior.meet(encoder)
    x = torch.randn(6, 3)
    prior.begin(x)
    with torch.no_grad():
        prior.log_std.fill_(-0.3)
    posterior = encoder(x[:2])
    value = posterior.sample(torch.randn(2, 1, 2))
    means = encoder(x).mean
    each = distributions.Normal(means, math.exp(-0.3)).log_prob(value.unsqueeze(1)).sum(2)           # (2, 6)
    log_q = posterior.log_q().sum(1)
    others = torch.stack([torch.cat([row[:n], row[n + 1:]]) for n, row in enumerate(each)]).logsumexp(1) - math.log(5)
    prior.train()
    torch.testing.assert_close(prior.divergence(posterior, value), log_q - others)
    prior.eval()
    torch.testing.assert_close(prior.divergence(posterior, value), log_q - (each.logsumexp(1) - math.log(6)))
    few = ExemplarPrior((2,), (3,), 6, 3).train()
    few.meet(encoder)
    few.begin(x)
    first, second = few.divergence(posterior, value), few.divergence(posterior, value)
    assert not torch.equal(first, second)


def test_a_model_gives_its_prior_samples_and_its_own_encoder() -> None:
    spec = "data: {type: wine, limit: 40}\nencoder: [linear: 4]\nlatent: {type: gaussian, dim: 2, prior: {type: vamp, components: 7}}\n"
    loaded = load("spec.yaml", text=f"{spec}train: {{batch_size: 10}}\n")
    plan, splits = loaded.require(), load_splits(loaded.require().spec.data, Where(Path()))
    model, other = build(plan), build(plan)
    for each in (model, other):
        give_samples(plan, each, splits.train)
    held, rows = model.latent.prior.inputs.detach(), torch.from_numpy(splits.train.x)
    assert torch.equal(held, other.latent.prior.inputs)
    assert (held.unsqueeze(1) == rows).all(2).any(1).all() and len(held.unique(dim=0)) == 7
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.latent.get_submodule("projection").bias.add_(1)  # type: ignore[union-attr, operator]
        apart = twin.latent.prior.draw(500, CPU).mean() - model.latent.prior.draw(500, CPU).mean()
    assert apart > 0.3                       # each asks its own encoder


# -------------------------------------------------------------------------------------------------------------- autoregression


def tokens_prior(network: str, length: int = 4, classes: int = 3, **options: Any) -> AutoregressiveTokens:
    made = CausalGru(8, 2) if network == "gru" else CausalTransformer(length, 8, 2, 2)
    prior: AutoregressiveTokens = stirred(AutoregressiveTokens(length, classes, 8, made, **options))
    return prior


def pixels(rows: int, columns: int, classes: int, **options: Any) -> PixelCnnPrior:
    prior: PixelCnnPrior = stirred(PixelCnnPrior(rows * columns, classes, rows, 6, 3, 3, **options), 0.4)
    return prior


PRIORS = {"transformer": lambda: tokens_prior("transformer"), "gru": lambda: tokens_prior("gru"), "pixelcnn": lambda: pixels(2, 2, 3)}


@pytest.mark.parametrize("name", PRIORS)
def test_the_probabilities_of_all_codes_sum_to_one_and_draws_follow_them(name: str) -> None:
    prior = PRIORS[name]()
    every = torch.tensor(list(itertools.product(range(3), repeat=4)))
    with torch.no_grad():
        shares = prior.log_prob(every).double().exp()
        drawn = prior.draw(3000, CPU)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-5)
    seen = torch.bincount((drawn * torch.tensor([27, 9, 3, 1])).sum(1), minlength=81) / 3000
    assert (seen - shares).abs().max() < 5 * (shares.max() / 3000) ** 0.5


@pytest.mark.parametrize("network", ["transformer", "gru"])
def test_a_place_knows_nothing_of_itself_and_later_ones(network: str) -> None:
    prior = tokens_prior(network, 6, 5)
    embedded: list[Tensor] = []
    prior.embed.register_forward_hook(lambda module, given, out: embedded.append(out.requires_grad_()) or out)
    logits = prior.logits(torch.randint(5, (1, 6)))
    for place in range(6):
        gradient, = torch.autograd.grad(logits[0, place].square().sum(), embedded[0], retain_graph=True, allow_unused=True)
        seen = torch.zeros(5, dtype=torch.bool) if gradient is None else gradient[0].abs().sum(1) > 0
        assert seen.tolist() == [before < place for before in range(5)]


def test_a_pixelcnn_sees_all_that_was_before_and_nothing_else() -> None:
    prior = stirred(PixelCnnPrior(25, 4, 5, 6, 6, 3), 0.4)
    embedded: list[Tensor] = []
    prior.embed.register_forward_hook(lambda module, given, out: embedded.append(out.detach().requires_grad_()) or embedded[-1])
    logits = prior.logits(torch.randint(4, (1, 25)))
    for place in (0, 4, 7, 12, 20, 24):
        gradient, = torch.autograd.grad(logits[0, :, place].square().sum(), embedded[0], retain_graph=True)
        assert (gradient[0].flatten(0, 1).abs().sum(1) > 0).tolist() == [before < place for before in range(25)], place


@pytest.mark.parametrize("network", ["transformer", "gru"])
def test_steps_with_a_memory_give_what_the_whole_sequence_gives(network: str) -> None:
    made = stirred(CausalGru(8, 2) if network == "gru" else CausalTransformer(5, 8, 2, 2))
    x, state = torch.randn(3, 5, 8), None
    whole = made(x)
    for place in range(5):
        out, state = made.step(x[:, place], place, state)
        torch.testing.assert_close(out, whole[:, place], rtol=1e-4, atol=1e-5)


def test_temperature_and_top_k() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]]).expand(4000, -1)
    chance = torch.rand(4000, 1)
    for temperature, top_k in ((1.0, None), (0.5, None), (2.0, 2), (1.0, 9)):
        seen = torch.bincount(picked(logits, chance, temperature, top_k), minlength=4) / 4000
        shares = (logits[0] / temperature).masked_fill(torch.tensor([top_k == 2, False, False, top_k == 2]), -math.inf).softmax(0)
        torch.testing.assert_close(seen, shares, atol=0.03, rtol=0)
    assert (picked(logits, torch.ones(4000, 1) * (1 - 2 ** -24), 1.0, 1) == 2).all()
    greedy = tokens_prior("transformer", top_k=1).draw(4, CPU)
    assert (greedy == greedy[0]).all()


@pytest.mark.parametrize(("network", "value"), [("gru", Sequence(4, 2)), ("transformer", Grid(2, (2, 3))), ("gru", Grid(1, (3,)))])
def test_an_autoregressive_gaussian_is_the_product_of_its_steps(network: str, value: Value) -> None:
    prior = stirred(built(Autoregressive(network=network, width=8, depth=1, heads=2).plan_prior(value, site()).node))
    assert isinstance(prior, AutoregressiveCodes)
    with torch.no_grad():
        prior.reseed(1)
        z = prior.draw(500, CPU)
        assert z.shape == (500, *value.shape)
        flat, state, x, total = z.movedim(prior.axis, -1).flatten(1, -2), None, prior.start.expand(500, -1), torch.zeros(500)
        for place in range(flat.shape[1]):
            out, state = prior.network.step(x, place, state)
            mean, log_variance = prior.output(out).chunk(2, 1)
            total += distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(flat[:, place]).sum(1)
            x = prior.embed(flat[:, place])
        torch.testing.assert_close(prior.log_prob(z), total, rtol=1e-4, atol=1e-3)
        prior.temperature = 1e-6
        still = prior.draw(5, CPU)
    torch.testing.assert_close(still, still[:1].expand_as(still), atol=1e-3, rtol=0)


# ------------------------------------------------------------------------------------------------------------ masks, a second stage


def masked(steps: int = 4, temperature: float = 1.0, length: int = 4) -> MaskedPrior:
    prior: MaskedPrior = stirred(MaskedPrior(length, 3, 8, CausalTransformer(length, 8, 1, 2, causal=False), steps=steps,
                                             temperature=temperature))
    return prior


def test_the_surprise_of_a_masked_prior_is_a_bound_over_orders() -> None:
    """Its expectation is the mean, over all orders of filling in, of the surprise at the codes (Uria et al., 2014)."""
    prior, code = masked(length=3), torch.tensor([[2, 0, 1]])
    with torch.no_grad():
        nats = []
        for order in itertools.permutations(range(3)):
            hidden, total = torch.ones(1, 3, dtype=torch.bool), 0.0
            for place in order:
                total -= float(prior.logits(code, hidden)[0, place].log_softmax(0)[code[0, place]])
                hidden[0, place] = False
            nats.append(total)
        prior.reseed(3)
        found = prior.surprise(code.expand(20_000, -1))
    assert float(found.mean()) == pytest.approx(sum(nats) / 6, abs=4 * float(found.std()) / 20_000 ** 0.5)


def test_a_masked_prior_learns_from_masked_places_alone_and_sees_none_of_them() -> None:
    prior = masked()
    hidden = torch.tensor([[True, False, True, False]])
    one, other = torch.tensor([[0, 1, 2, 0]]), torch.tensor([[1, 1, 0, 0]])
    assert torch.equal(prior.logits(one, hidden), prior.logits(other, hidden))
    assert not torch.equal(prior.logits(one, ~hidden), prior.logits(other, ~hidden))
    prior.train()
    prior.reseed(0)
    shares = prior.surprise(torch.randint(3, (64, 4))).detach()
    assert shares.shape == (64,) and (shares > 0).all()


@pytest.mark.parametrize("steps", [1, 3, 4, 9])
def test_every_place_is_filled_in_whatever_the_steps(steps: int) -> None:
    prior = masked(steps)
    passes: list[Tensor] = []
    real = prior.logits
    prior.logits = lambda codes, hidden, told: (passes.append(hidden.sum(1)), real(codes, hidden, told))[1]  # type: ignore[method-assign]
    with torch.no_grad():
        drawn = prior.draw(50, CPU)
    left = torch.stack(passes)[:, 0].tolist()
    assert len(left) == steps and left[0] == 4 and all(a > b or a == 0 for a, b in itertools.pairwise(left))
    assert drawn.shape == (50, 4) and drawn.min() >= 0 and drawn.max() < 3


def test_a_second_stage_bounds_the_density_and_reaches_it_where_it_is_linear() -> None:
    prior = stirred(TwoStagePrior((2,), 6), 0.6)
    z = torch.randn(1, 2)
    with torch.no_grad():
        prior.reseed(0)
        bound = prior.surprise(z.expand(4000, -1)).mean()
        u = torch.randn(200_000, 2)
        spread = (0.5 * prior.log_variance).exp()
        known = mixed(z, prior.decoder(u), spread.log().expand(len(u), 2), torch.full((len(u),), -math.log(len(u))))
    assert float(bound) >= float(-known) - 0.05
    prior.train()
    prior.surprise(5 + 3 * torch.randn(200, 2)).sum().backward()
    assert prior.standard.mean.mean() > 4 and all(parameter.grad is not None for parameter in prior.parameters())
    assert prior.eval().draw(2000, CPU).mean() > 2


def test_a_second_stage_without_a_code_of_its_own_is_a_gaussian() -> None:
    """An encoder that gives N(0, 1) and a decoder that ignores it: the bound is the density itself."""
    prior = TwoStagePrior((3,), 4).eval()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.zero_()
    z = torch.randn(5, 3)
    torch.testing.assert_close(-prior.surprise(z), distributions.Normal(0.0, 1.0).log_prob(z).sum(1))


# ------------------------------------------------------------------------------------------------------------- as an anomaly score


def test_a_code_is_scored_by_the_prior_where_that_has_a_density() -> None:
    value = torch.randn(4, 2)
    each = Pass(0, 4, Batch(value, value), Code(value), value, {})
    found = surprise_of_prior(ContinuousLatent({}, GaussianPrior((2,), 0.5)), each)
    np.testing.assert_allclose(found, -distributions.Normal(0.0, 0.5).log_prob(value).sum(1), rtol=1e-5)
    assert surprise_of_prior(ContinuousLatent({}, UniformPrior((2,), 0.0, 1.0)), each) is None
    discrete = DiscreteLatent({}, (4, 3), -1, 8, prior=tokens_prior("gru", 4, 8))
    indices = torch.randint(8, (4, 4))
    with torch.no_grad():
        found = surprise_of_prior(discrete, Pass(0, 4, each.batch, Code(value, indices=indices), value, {}))
        np.testing.assert_allclose(found, -discrete.prior.log_prob(indices), rtol=1e-5)


# --------------------------------------------------------------------------------------------------------------------- the parts


@pytest.mark.parametrize(("part", "value", "way"), [
    (Mixture(components=3), Vector(4), "joint"), (Mixture(components=3, covariance="full"), Grid(2, (2, 2)), "fitted"),
    (Flow(transforms=2, width=5), Vector(3), "phase"), (Flow(transforms=3, width=5, transform="realnvp"), Vector(5), "joint"),
    (Flow(transforms=1, width=5, transform="iaf"), Vector(3), "joint"), (TwoStage(width=5), Sequence(2, 2), "phase"),
    (Autoregressive(width=8, depth=1), Tokens(6, 5), "phase"), (Autoregressive(width=6, depth=2, network="gru"), Sequence(3, 2), "joint"),
    (Masked(width=8, depth=1), Tokens(6, 5), "phase"), (Pixelcnn(width=5, depth=2), Tokens(12, 4, (2, 3, 2)), "phase"),
])
def test_the_plan_has_every_weight(part: Any, value: Value, way: str) -> None:
    node = part.plan_way(value, site().at("prior"), way).node
    module = built(node)
    assert {name.removeprefix("prior."): shape for name, shape in planned_state(node).items()} == {
        name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    module.eval().reseed(0)
    drawn = module.draw(3, CPU)
    assert drawn.shape == (3, *value.shape) and drawn.dtype == (torch.int64 if isinstance(value, Tokens) else torch.float32)
    assert module.surprise(drawn).shape == (3,)


@pytest.mark.parametrize(("part", "value", "code"), [
    (Flow(transform="realnvp"), Vector(1), "AE337"), (Autoregressive(), Vector(4), "AE337"), (Masked(), Tokens(1, 4), "AE337"),
    (Pixelcnn(), Tokens(4, 4, (4,)), "AE337"), (Autoregressive(width=10, heads=4), Tokens(4, 4), "AE335"),
    (Masked(width=10, heads=4), Tokens(4, 4), "AE335"),
])
def test_what_does_not_suit_a_code_is_refused(part: Any, value: Value, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        part.plan_prior(value, site()) if not isinstance(part, Flow) else part.plan_way(value, site(), "joint")
    assert refusal.value.diagnostic.code == code


def test_when_a_prior_is_learned_follows_from_the_latent_unless_it_is_written() -> None:
    assert Flow().way(Gaussian(dim=2).learns) == "joint" and Flow().way(Continuous(dim=2).learns) == "phase"
    assert Flow(learned="afterwards").way(Gaussian(dim=2).learns) == "phase" and Flow(learned="jointly").way(Continuous(dim=2).learns) is None
    assert Mixture().way(Continuous(dim=2).learns) == "fitted" == Mixture(learned="afterwards").way(Gaussian(dim=2).learns)
    assert TwoStage().way(Gaussian(dim=2).learns) == "phase"


def test_codes_are_pulled_to_a_standard_normal_where_the_prior_comes_afterwards() -> None:
    x, found = torch.randn(5, 4), []
    for prior in (Flow(transforms=1, width=4, learned="afterwards"), TwoStage(width=4), Mixture(learned="afterwards", components=2)):
        torch.manual_seed(0)
        latent = latent_of(Gaussian(dim=2, prior=prior), Vector(4))
        with torch.no_grad():
            for name, parameter in latent.named_parameters():
                if name.startswith("projection"):
                    parameter.fill_(0.3)
        found.append(latent(x).terms["kl"])
        assert latent.losses()["prior"] is not None
    assert all(torch.equal(kl, found[0]) for kl in found) and found[0].shape == (5, 2)
