"""A code in levels: each as it would be alone, joined to one code and taken apart again."""

from __future__ import annotations

import pytest
import torch
import yaml
from torch import Tensor

from aebuild.api import build, load
from aebuild.modules.above import ABOVE, CodeAbove
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.latent_levels import DiscreteLevels, Levels, LevelsPrior, MixedLevels, split_codes
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import Random
from aebuild.results.inference.passes import Pass
from aebuild.results.inference.scorer import surprise_of_prior

DENSE = """
data: digits
encoder: [linear: 12, linear: 6]
latent:
- gaussian: {dim: 2}
- gaussian: {dim: 3, from: encoder.0}
losses: {kl_1: 0.5}
"""
BOOKS = """
data: digits
encoder: {layer: conv, width: [6, 8], stride: 2}
latent:
- codebook: {codes: 4, dim: 2, init: normal, prior: empirical}
- codebook: {codes: 8, dim: 4, groups: 2, init: normal, from: encoder.0, prior: empirical}
"""


def model(text: str) -> Autoencoder:
    made: Autoencoder = build(load(yaml.safe_load(text)))
    return made.eval()


def images(count: int = 7) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def reseed(module: torch.nn.Module) -> None:
    for each in module.modules():
        if isinstance(each, Random):
            each.reseed(5)


def test_each_level_is_its_latent_on_what_it_reads() -> None:
    net, x = model(DENSE), images()
    assert isinstance(net.latent, Levels)
    context: dict[str, Tensor] = {}
    features = net.features(x, context)
    reseed(net)
    code = net.latent(features, context)
    top, bottom = net.latent.levels
    reseed(net)
    first = top(features)
    second = bottom(torch.cat([context["encoder.0"], net.latent.get_submodule("above_1")(first.value)], 1))
    assert torch.equal(code.value, torch.cat([first.value, second.value], 1))
    assert torch.equal(code.terms["kl_0"], first.terms["kl"])
    assert torch.equal(code.terms["kl_1"], second.terms["kl"])


def test_the_whole_code_decodes_to_the_reconstruction() -> None:
    for text in (DENSE, BOOKS):
        net, x = model(text), images()
        reseed(net)
        code = net.encode(x)
        reseed(net)
        assert torch.equal(net.decode(code.value), net.reconstruct(x))
        assert code.value.shape == (7, sum(torch.Size(shape).numel() for shape in net.latent.shapes))


def test_every_level_changes_the_reconstruction() -> None:
    net = model(DENSE)
    codes = torch.randn(20, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    net.decode(codes).sum().backward()
    assert codes.grad is not None and (codes.grad != 0).any(0).all()


def test_the_mean_of_all_levels_is_given_the_means_above() -> None:
    net, x = model(DENSE), images()
    context: dict[str, Tensor] = {}
    features = net.features(x, context)
    posterior = net.latent(features, context).posterior
    top, bottom = net.latent.levels
    first = top.posterior(top.project(features)).mean
    read = torch.cat([context["encoder.0"], net.latent.get_submodule("above_1")(first)], 1)
    assert torch.equal(posterior.mean, torch.cat([first, bottom.posterior(bottom.project(read)).mean], 1))
    assert torch.equal(posterior.mean, net.latent(features, context).posterior.mean)          # without a draw


def test_several_draws_of_a_sample_stand_one_after_the_other() -> None:
    net, x = model(DENSE), images(3)
    outputs = net.run(Batch(x, x), draws=4)
    assert outputs.code.value.shape == (12, 5)
    assert outputs.code.terms["kl_0"].shape == (12, 2) and outputs.code.terms["kl_1"].shape == (12, 3)
    assert outputs.params is not None and len(outputs.params) == 12


def test_indices_of_all_levels_are_one_row() -> None:
    net, x = model(BOOKS), images()
    latent = net.latent
    assert isinstance(latent, DiscreteLevels)
    code = net.encode(x)
    assert code.indices is not None and code.indices.shape == (7, 4 + 16 * 2)
    assert torch.equal(latent.lookup(code.indices), code.value)
    assert latent.book_sizes == [4, 8, 8] and [len(book) for book in latent.by_book(code.indices)] == [28, 112, 112]


@pytest.mark.parametrize("order", [0, 1])
def test_codebooks_and_gaussians_stand_above_each_other(order: int) -> None:
    """Fitted, drawn from the top down and judged each as it would be alone, from rows of values and indices."""
    kinds = ["codebook: {codes: 4, dim: 2, init: normal, prior: empirical", "gaussian: {dim: 3, per: position"]
    top, bottom = kinds[order], kinds[1 - order]
    net = model("data: digits\nencoder: {layer: conv, width: [6, 8], stride: 2}\nlatent:\n"
                f"- {top}}}\n- {bottom}, from: encoder.0}}\n")
    latent = net.latent
    assert isinstance(latent, MixedLevels)
    reseed(net)
    code = net.encode(images())
    rows = latent.codes_of(code)
    widths = [4, 48] if order == 0 else [12, 16]
    assert rows.shape == (7, sum(widths)) and code.indices is None
    assert torch.equal(latent.code_from(rows).value, code.value)
    latent.prior.fit([rows])
    book = latent.levels[order]
    indices = torch.split(rows, widths, 1)[order].long()
    assert torch.equal(book.lookup(indices).flatten(1), split_codes(code.value, latent.shapes)[order].flatten(1))
    alone = type(book.prior)(indices.shape[1], 4)
    alone.fit([indices])
    assert torch.equal(alone.frequencies, book.prior.frequencies)
    drawn = latent.draw(5)
    assert drawn.shape == (5, sum(torch.Size(shape).numel() for shape in latent.shapes))
    entries = split_codes(drawn, latent.shapes)[order].movedim(1, -1).reshape(-1, 2)
    assert torch.cdist(entries, book.codebook).min(1).values.max() < 1e-2
    surprise = latent.prior.surprise(rows)
    assert surprise.shape == (7,) and torch.isfinite(surprise).all()
    scored = surprise_of_prior(latent, Pass(0, 7, Batch(images(), images()), code, code.value, {}))
    assert scored is not None and torch.equal(torch.from_numpy(scored), surprise.double())


def test_each_prior_is_fitted_to_its_own_level() -> None:
    net, x = model(BOOKS), images(50)
    indices = net.encode(x).indices
    assert indices is not None
    net.latent.prior.fit([indices])
    for level, part in zip(net.latent.levels, torch.split(indices, net.latent.widths, 1), strict=True):
        alone = type(level.prior)(part.shape[1], level.codes)
        alone.fit([part])
        assert torch.equal(alone.frequencies, level.prior.frequencies)
    assert net.latent.draw(5).shape == (5, 4 * 2 + 16 * 4)


def test_new_codes_are_drawn_from_the_top_down() -> None:
    net = model(DENSE)
    seen: list[Tensor] = []

    def given(context: dict[str, Tensor]) -> torch.nn.Module:
        seen.extend(context.values())
        return bottom

    bottom = net.latent.levels[1].prior
    bottom.given = given
    reseed(net)
    drawn = net.latent.draw(6)
    assert len(seen) == 1 and torch.equal(seen[0], drawn[:, :2])
    assert ABOVE == "above" and isinstance(net.latent.prior, LevelsPrior)


def test_the_density_is_that_of_all_levels() -> None:
    net = model(DENSE)
    codes = torch.randn(4, 5)
    normal = torch.distributions.Normal(0, 1)
    assert torch.allclose(net.latent.prior.log_prob(codes), normal.log_prob(codes).sum(1))


def test_a_prior_may_depend_on_the_level_above() -> None:
    net, x = model(DENSE.replace("dim: 3, from", "dim: 3, prior: conditional, from")), images()
    reseed(net)
    code = net.encode(x)
    bottom = net.latent.levels[1]
    mean, log_variance = bottom.prior.network(code.value[:, :2]).unflatten(1, (2, 3)).unbind(1)
    context: dict[str, Tensor] = {}
    features = net.features(x, context)
    read = torch.cat([context["encoder.0"], net.latent.get_submodule("above_1")(code.value[:, :2])], 1)
    reseed(net)
    again = net.latent(features, context)
    posterior = bottom.posterior(bottom.project(read))
    wanted = torch.distributions.kl_divergence(torch.distributions.Normal(posterior.mean, (posterior.log_variance / 2).exp()),
                                               torch.distributions.Normal(mean, (log_variance / 2).exp()))
    assert torch.allclose(again.terms["kl_1"], wanted, atol=1e-5)
    reseed(net)
    drawn = net.latent.draw(5)
    reseed(net)
    top = net.latent.levels[0].prior.draw(5, torch.device("cpu"))
    assert torch.equal(drawn[:, :2], top) and drawn.shape == (5, 5)
    assert torch.allclose(net.latent.prior.log_prob(drawn), net.latent.levels[0].prior.log_prob(top).sum(1)
                          + bottom.prior.given({"above": top}).log_prob(drawn[:, 2:]).sum(1))


def test_a_prior_of_entries_is_told_the_code_above() -> None:
    """VQ-VAE-2: p(bottom | top), in order, with a gradient to every weight; draws are of what stands above them."""
    net = model("data: digits\nencoder: {layer: conv, width: [6, 8], stride: 2}\nlatent:\n"
                "- codebook: {codes: 4, dim: 2, init: normal, prior: {type: pixelcnn, width: 4, depth: 1}}\n"
                "- codebook: {codes: 5, dim: 2, init: normal, from: encoder.0, prior: {type: pixelcnn, width: 4, depth: 2}}\n")
    top, bottom = net.latent.levels
    assert top.prior.reads is None and bottom.prior.reads == (2, 2, 2)
    indices = net.encode(images()).indices
    assert indices is not None
    above, below = torch.split(indices, [4, 16], 1)
    known = {ABOVE: top.lookup(above).flatten(1)}
    prior = bottom.prior.given(known)
    assert torch.allclose(net.latent.prior.log_prob(indices), top.prior.log_prob(above) + prior.log_prob(below), atol=1e-5)
    every = torch.cartesian_prod(*[torch.arange(5)] * 2)                                   # the last two places, whatever they are
    rows = torch.cat([below[:1, :-2].expand(25, -1), every], 1)
    chances = bottom.prior.given({ABOVE: known[ABOVE][:1].expand(25, -1)}).log_prob(rows)
    ahead = torch.log_softmax(bottom.prior.logits(rows[:1], told=[each[:1] for each in prior._told]), 1)[0, :, :-2]
    assert torch.allclose(chances.logsumexp(0), ahead.gather(0, rows[:1, :-2]).sum(), atol=1e-4)
    other = bottom.prior.given({ABOVE: known[ABOVE] + 1})
    assert (other.log_prob(below) != prior.log_prob(below)).all()
    prior.log_prob(below).sum().backward()
    assert all(layer.weight.grad.abs().sum() > 0 for layer in bottom.prior.above)
    with pytest.raises(ValueError, match="code above"):
        bottom.prior.log_prob(below)
    assert net.latent.draw(3).shape == (3, 2 * 4 + 2 * 16)


@pytest.mark.parametrize("prior", ["{type: autoregressive, width: 4, depth: 1, heads: 2}",
                                   "{type: autoregressive, network: gru, width: 4, depth: 1}",
                                   "{type: masked, width: 4, depth: 1, heads: 2, steps: 3}"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_prior_that_goes_from_place_to_place_is_told_the_code_above_each(prior: str, groups: int) -> None:
    """Above a place stands the entry of its quarter: what is told there changes what is near, and no draw or chance goes without it."""
    net = model("data: digits\nencoder: {layer: conv, width: [6, 8], stride: 2}\nlatent:\n- codebook: {codes: 4, dim: 2, init: normal}\n"
                f"- codebook: {{codes: 5, dim: 2, groups: {groups}, init: normal, from: encoder.0, prior: {prior}}}\n").eval()
    top, bottom = net.latent.levels
    indices = net.encode(images()).indices
    assert indices is not None
    above, below = torch.split(indices, [4, 16 * groups], 1)
    code = top.lookup(above)
    network, mapped = bottom.prior, bottom.prior.above(code.flatten(1))
    assert isinstance(network.above, CodeAbove) and network.above.places == (4, 4)
    corner = code.clone()
    corner[:, :, 1, 0] += 1                                                                # the quarter below, to the left
    changed = (network.above(corner.flatten(1)) != mapped).any(2).view(-1, 4, 4, groups)
    assert changed[:, 2:, :2].all() and changed.sum() == len(code) * 4 * groups
    network.output.weight.data.mul_(50)                                                    # begins near 0, so that little would be seen
    masked = torch.ones_like(below, dtype=torch.bool)
    logits = (lambda told: network.logits(below, masked, told)) if "masked" in prior else lambda told: network.logits(below, told)
    assert (logits(mapped) - logits(network.above(corner.flatten(1)))).abs().amax() > 1e-4
    known = network.given({ABOVE: code.flatten(1)})
    assert known.draw(len(code), code.device).shape == below.shape
    if "masked" not in prior:
        assert torch.allclose(net.latent.prior.log_prob(indices), top.prior.log_prob(above).sum(1) + known.log_prob(below), atol=1e-4)
        at = logits(mapped).log_softmax(2).gather(2, below.unsqueeze(2)).flatten(1).sum(1)
        assert torch.allclose(known.log_prob(below), at, atol=1e-4)
        network.temperature = 1e-4                                                         # draws step by step are those of the whole pass
        drawn = known.draw(len(code), code.device)
        assert torch.equal(network.logits(drawn, mapped).argmax(2), drawn)
    known.surprise(below).sum().backward()
    assert network.above.weight.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="code above"):
        network.draw(2, code.device)
    assert net.latent.draw(3).shape == (3, 2 * 4 + 2 * 16)


def test_a_gaussian_prior_from_place_to_place_is_told_a_whole_vector_above() -> None:
    net = model("data: digits\nencoder: {layer: conv, width: [6, 8], stride: 2}\nlatent:\n- gaussian: {dim: 3}\n"
                "- gaussian: {dim: 2, per: position, from: encoder.0, prior: {type: autoregressive, width: 4, depth: 1, heads: 2}}\n")
    bottom = net.latent.levels[1]
    assert bottom.prior.above.places == () and bottom.prior.above.weight.shape == (4, 3)
    drawn = net.latent.draw(5)
    first, known = net.latent.prior.log_prob(drawn), bottom.prior.given({ABOVE: drawn[:, :3]})
    apart = known.log_prob(drawn[:, 3:].view(5, 2, 4, 4))
    assert torch.allclose(first - net.latent.levels[0].prior.log_prob(drawn[:, :3]).sum(1), apart, atol=1e-4)


def test_a_posterior_may_be_told_beside_the_prior_of_its_level() -> None:
    """NVAE: N(μ + Δμ, (σ·Δσ)²) beside N(μ, σ²), whose KL is ½(Δμ²/σ² + Δσ² − log Δσ² − 1); where nothing is said it is the prior."""
    net, x = model(DENSE.replace("dim: 3, from", "dim: 3, prior: conditional, posterior: relative, from")), images()
    reseed(net)
    code = net.encode(x)
    bottom, top = net.latent.levels[1], code.value[:, :2]
    context: dict[str, Tensor] = {}
    net.features(x, context)
    read = torch.cat([context["encoder.0"], net.latent.get_submodule("above_1")(top)], 1)
    apart, log_ratio = bottom.project(read).double().chunk(2, 1)
    mean, log_variance = bottom.prior.network(top).double().unflatten(1, (2, 3)).unbind(1)
    naive = 0.5 * (apart.square() / log_variance.exp() + log_ratio.exp() - log_ratio - 1)
    assert torch.allclose(code.terms["kl_1"].double(), naive, atol=1e-5)
    q = torch.distributions.Normal(mean + apart, (0.5 * (log_variance + log_ratio)).exp())
    p = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    assert torch.allclose(naive, torch.distributions.kl_divergence(q, p), atol=1e-9)
    noise = (code.value[:, 2:].double() - q.mean) / q.stddev                               # of these draws, as plausible as any other
    assert noise.abs().max() < 6 and 0.5 < noise.std() < 1.5
    with torch.no_grad():
        for weight in bottom.projection.parameters():
            weight.zero_()
    assert net.encode(x).terms["kl_1"].abs().max() < 1e-6
    means = net.encode(x).posterior.mean                                                   # of all levels, given the means above
    wanted, _ = bottom.prior.network(means[:, :2]).unflatten(1, (2, 3)).unbind(1)
    assert torch.allclose(means[:, 2:], wanted, atol=1e-5)
