"""How networks are told conditions: each equation against a naive one, the start as the network that is told nothing, the known optimum."""

from __future__ import annotations

import math
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.conditional_prior import ConditionalPrior
from aebuild.modules.conditioning import AdaptiveNorm, Concatenated, Conditioned, CrossAttention, Film, brought_to
from aebuild.modules.outputs import Batch
from aebuild.modules.posteriors import DiagonalGaussian

M = TypeVar("M", bound=Conditioned)
TOLD = torch.tensor([[1.0, 9.0, 2.0, -1.0, 9.0], [0.5, 9.0, -3.0, 4.0, 9.0]])
SHAPES = [((2, 6), 1), ((2, 6, 4), 1), ((2, 6, 3, 2), 1), ((2, 6, 3, 2, 2), 1), ((2, 5, 6), -1)]


def values(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def shuffled(module: M) -> M:
    """With weights of no special value, in double precision."""
    generator = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    return module.double()


def context() -> dict[str, Tensor]:
    return {"conditions": TOLD.double()}


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_concatenated_features_stand_at_every_place(shape: tuple[int, ...], axis: int) -> None:
    x = values(shape)
    out = Concatenated("conditions", 2, 4, axis)(x, context())
    last = out.movedim(axis, -1)
    assert torch.equal(last[..., :6], x.movedim(axis, -1))
    for row, wanted in enumerate(TOLD[:, 2:4].double()):
        assert (last[row, ..., 6:] == wanted).all()


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_film_scales_and_shifts_each_feature(shape: tuple[int, ...], axis: int) -> None:
    """Perez et al. (2018), equation 2, feature by feature; γ is counted from one."""
    x, film = values(shape), shuffled(Film("conditions", 2, 4, axis, 6))
    out = film(x, context()).movedim(axis, -1)
    for row in range(2):
        numbers = film.map.weight @ TOLD[row, 2:4].double() + film.map.bias
        for feature in range(6):
            wanted = x.movedim(axis, -1)[row, ..., feature] * (1 + numbers[feature]) + numbers[6 + feature]
            torch.testing.assert_close(out[row, ..., feature], wanted)


def test_adaptive_norm_normalises_groups_of_a_grid_and_features_of_a_place() -> None:
    for shape, axis in SHAPES:
        x, norm = values(shape), AdaptiveNorm("conditions", 2, 4, axis, 6, 3).double()
        grid = axis == 1 and len(shape) > 2
        parts = x.reshape(2, 3, -1) if grid else x
        wanted = (parts - parts.mean(-1, keepdim=True)) / (parts.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        torch.testing.assert_close(norm(x, context()), wanted.reshape(shape))          # γ and β begin at zero
        shuffled(norm)
        numbers = norm.map(TOLD[:, 2:4].double())
        scale, shift = (each.movedim(1, axis).reshape([2, *(6 if at == axis % len(shape) else 1 for at in range(1, len(shape)))])
                        for each in (numbers[:, :6], numbers[:, 6:]))
        torch.testing.assert_close(norm(x, context()), wanted.reshape(shape) * (1 + scale) + shift)


@pytest.mark.parametrize(("shape", "axis"), SHAPES[1:])
def test_cross_attention_is_that_of_torch(shape: tuple[int, ...], axis: int) -> None:
    x, ours = values(shape), shuffled(CrossAttention("conditions", 2, 4, axis, 6, tokens=3, heads=2))
    places = x if axis == -1 else x.flatten(2).transpose(1, 2)
    tokens = ours.tell(TOLD[:, 2:4].double()).reshape(2, 3, 2, 6)
    theirs = nn.MultiheadAttention(6, 2, batch_first=True).double()
    theirs.in_proj_weight.data = torch.cat([ours.query.weight, *[torch.eye(6).double()] * 2])
    theirs.in_proj_bias.data = torch.cat([ours.query.bias, torch.zeros(12).double()])
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    added = theirs(places, tokens[:, :, 0], tokens[:, :, 1])[0]
    wanted = x + (added if axis == -1 else added.transpose(1, 2).reshape(shape))
    torch.testing.assert_close(ours(x, context()), wanted)


def test_one_row_stands_for_all_and_a_wrong_number_is_said() -> None:
    film, x = shuffled(Film("conditions", 0, 2, 1, 3)), values((4, 3))
    assert torch.equal(film(x, {"conditions": TOLD[:1].double()}), film(x, {"conditions": TOLD[:1].double().expand(4, -1)}))
    with pytest.raises(ValueError, match="5 rows, and there are 4 samples"):
        film(x, {"conditions": torch.zeros(5, 5)})
    with pytest.raises(ValueError, match="give `conditions`"):
        film(x, {})


# ------------------------------------------------------------------------------------------------------------------ images


def naive(image: Tensor, places: tuple[int, int]) -> Tensor:
    """An image [C, H, W] on a grid of these places, one place after the other."""
    high, wide = image.shape[1:]
    out = torch.empty(len(image), *places, dtype=image.dtype)
    for row in range(places[0]):
        for column in range(places[1]):
            top, left = row * high // places[0], column * wide // places[1]
            down, right = max(top + 1, (row + 1) * high // places[0]), max(left + 1, (column + 1) * wide // places[1])
            out[:, row, column] = image[:, top:down, left:right].mean((1, 2))
    return out


@pytest.mark.parametrize("places", [(4, 6), (2, 3), (1, 1), (8, 12), (4, 3), (2, 12)])
def test_an_image_is_averaged_where_it_is_larger_and_repeated_where_it_is_smaller(places: tuple[int, int]) -> None:
    image = values((2, 3, 4, 6))
    torch.testing.assert_close(brought_to(image, places), torch.stack([naive(each, places) for each in image]))
    torch.testing.assert_close(brought_to(image, (4, 6)), image, rtol=0, atol=0)


def test_an_image_is_told_to_each_place_of_a_grid() -> None:
    """Concatenated as channels; scaled and shifted by 1 by 1 convolutions of it, as in SPADE (Park et al., 2019)."""
    x, image = values((2, 6, 2, 4)), values((2, 3, 4, 4)) * 2
    context, seen = {"conditions": torch.cat([torch.zeros(2, 2).double(), image.flatten(1)], 1)}, brought_to(image, (2, 4))
    beside = Concatenated("conditions", 2, 50, 1, (3, 4, 4))(x, context)
    torch.testing.assert_close(beside, torch.cat([x, seen], 1))
    film = shuffled(Film("conditions", 2, 50, 1, 6, (3, 4, 4)))
    numbers = nn.functional.conv2d(seen, film.map.weight[:, :, None, None], film.map.bias)
    torch.testing.assert_close(film(x, context), x * (1 + numbers[:, :6]) + numbers[:, 6:])


def test_the_places_of_an_image_are_tokens_that_their_places_tell_apart() -> None:
    x, ours = values((2, 6, 3, 2)), shuffled(CrossAttention("conditions", 0, 12, 1, 6, tokens=4, heads=2, shape=(3, 2, 2)))
    image = values((2, 12))
    known = {"conditions": image}
    tokens = (ours.tell(image.reshape(2, 3, 4).transpose(1, 2)) + ours.place).unflatten(2, (2, 6))
    theirs = nn.MultiheadAttention(6, 2, batch_first=True).double()
    theirs.in_proj_weight.data = torch.cat([ours.query.weight, *[torch.eye(6).double()] * 2])
    theirs.in_proj_bias.data = torch.cat([ours.query.bias, torch.zeros(12).double()])
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    added = theirs(x.flatten(2).transpose(1, 2), tokens[:, :, 0], tokens[:, :, 1])[0].transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(ours(x, known), x + added)


# ------------------------------------------------------------------------------------------------------------- the prior


def prior() -> ConditionalPrior:
    network = nn.Linear(3, 8).double()
    return ConditionalPrior((4,), network, [("conditions", 2, 4), ("above", 0, 1)])


def given() -> dict[str, Tensor]:
    return {"conditions": TOLD.double(), "above": torch.tensor([[0.3], [-0.4]], dtype=torch.float64)}


def reference() -> torch.distributions.Normal:
    """The same prior in torch's words."""
    torch.manual_seed(0)
    known = torch.cat([TOLD[:, 2:4].double(), given()["above"]], 1)
    mean, log_variance = prior().network(known).chunk(2, 1)
    return torch.distributions.Normal(mean, (0.5 * log_variance).exp())


def test_a_conditional_prior_is_torch_s_normal() -> None:
    wanted = reference()
    torch.manual_seed(0)
    ours = prior().given(given())
    posterior = DiagonalGaussian(values((2, 4)), 0.3 * values((2, 4)) - 1)
    theirs = torch.distributions.Normal(posterior.mean, (0.5 * posterior.log_variance).exp())
    torch.testing.assert_close(ours.kl(posterior), torch.distributions.kl_divergence(theirs, wanted))
    codes = values((6, 4))
    each = torch.distributions.Normal(*(held.repeat_interleave(3, 0) for held in (wanted.mean, wanted.stddev)))
    torch.testing.assert_close(ours.log_prob(codes), each.log_prob(codes))                  # three draws of each sample, one after the other


def test_draws_have_the_prior_s_moments() -> None:
    torch.manual_seed(0)
    ours, n = prior().float().given({"conditions": TOLD[:1], "above": torch.tensor([[0.3]])}), 20_000
    drawn = ours.draw(n, torch.device("cpu"))
    wanted = reference()
    assert (drawn.mean(0) - wanted.mean[0]).abs().max() < 5 * wanted.stddev[0].max() / math.sqrt(n)
    torch.testing.assert_close(drawn.std(0).double(), wanted.stddev[0], rtol=0.05, atol=0)


def test_the_mean_of_many_draws_of_the_divergence_is_the_closed_form() -> None:
    torch.manual_seed(0)
    ours = prior().given(given())
    posterior = DiagonalGaussian(values((2, 4)), 0.3 * values((2, 4)) - 1)
    noise = torch.randn(2, 20_000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    drawn = ours.divergence(posterior, posterior.sample(noise), closed=False).reshape(2, -1, 4)
    close = (drawn.mean(1) - ours.kl(posterior)).abs() / (drawn.std(1) / math.sqrt(20_000))
    assert close.max() < 4


# ------------------------------------------------------------------------------------------------------------- whole models

PLAIN = ("data: {type: arrays, path: none.npz, shape: [2, 6, 6], classes: 3}\n"
         "encoder: {layer: conv, width: [4, 6], stride: 2}\n"
         "latent: {type: gaussian, dim: 3}\n"
         "losses: {reconstruction: gaussian}\n")


def model_of(text: str) -> Autoencoder:
    loaded = load("spec.yaml", text=text)
    assert not loaded.errors, [each.message for each in loaded.errors]
    return build(loaded.require()).eval()


@pytest.mark.parametrize("by", ["film", "attention"])
def test_it_begins_as_the_model_that_is_told_nothing(by: str) -> None:
    """Weights are drawn from the seed and the path, so that all others are the same."""
    plain, told = model_of(PLAIN), model_of(f"{PLAIN}condition: {{label: {by}}}\n")
    x, conditions = torch.randn(5, 2, 6, 6), torch.eye(3)[[0, 1, 2, 0, 1]]
    code = told.encode(x, conditions=conditions).posterior
    assert torch.equal(code.mean, plain.encode(x).posterior.mean)
    assert torch.equal(told.decode(code.mean, conditions=conditions), plain.decode(code.mean))


def test_what_it_is_told_decides_only_where_it_is_told() -> None:
    for reader, code_moves, output_moves in (("encoder", True, False), ("decoder", False, True)):
        model = model_of(f"{PLAIN}condition: {{label: {{into: [{reader}]}}}}\n")
        x, ones, twos = torch.randn(4, 2, 6, 6), torch.eye(3)[[0, 0, 0, 0]], torch.eye(3)[[1, 1, 1, 1]]
        first, second = (model.encode(x, conditions=each).posterior.mean for each in (ones, twos))
        assert torch.equal(first, second) != code_moves
        assert torch.equal(model.decode(first, conditions=ones), model.decode(first, conditions=twos)) != output_moves


def test_training_finds_the_mean_of_each_label() -> None:
    """Of a label's mean and noise as loud in every direction, a linear model with variance 1 keeps the mean alone: nothing in the code."""
    means = torch.tensor([[2.0, -1.0, 0.5], [-1.5, 0.0, 1.0], [0.0, 2.5, -2.0]])
    labels = torch.arange(3).repeat(60)
    x = means[labels] + 0.3 * torch.randn(180, 3, generator=torch.Generator().manual_seed(0))
    told = torch.eye(3)[labels]
    model = model_of("data: {type: arrays, path: none.npz, shape: [3], classes: 3}\ncondition: {label: {}}\nencoder: []\n"
                     "latent: {type: gaussian, dim: 1}\ndecoder: []\nlosses: {reconstruction: gaussian}\n").train()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(180):
        optimizer.zero_grad()
        terms, _ = model.terms(Batch(x, x, conditions=told))
        sum(term.flatten(1).sum(1).mean() if term.ndim > 1 else term.mean() for term in terms.values()).backward()
        optimizer.step()
    with torch.no_grad():
        found = model.decode(torch.zeros(3, 1), conditions=torch.eye(3))
        kl = model.run(Batch(x, x, conditions=told)).terms["kl"].mean()
    wanted = torch.stack([x[labels == label].mean(0) for label in range(3)])
    torch.testing.assert_close(found, wanted, atol=0.05, rtol=0)
    assert kl < 0.02


def test_a_conditional_prior_of_a_model_learns_where_the_codes_of_each_label_are() -> None:
    """Its mean follows the labels, and the divergence is that of the two Gaussians."""
    model = model_of(f"{PLAIN}condition: {{label: {{into: [encoder, prior]}}}}\n".replace("dim: 3", "dim: 3, prior: conditional")).train()
    x, told = torch.randn(6, 2, 6, 6), torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    outputs = model.run(Batch(x, x, conditions=told))
    mean, log_variance = model.latent.prior.network(told).chunk(2, 1)
    posterior = outputs.code.posterior
    wanted = torch.distributions.kl_divergence(torch.distributions.Normal(posterior.mean, (0.5 * posterior.log_variance).exp()),
                                               torch.distributions.Normal(mean, (0.5 * log_variance).exp()))
    torch.testing.assert_close(outputs.terms["kl"], wanted)
    several = model.run(Batch(x, x, conditions=told), draws=2)
    assert several.terms["kl"].shape[0] == several.code.value.shape[0] == 12
    with pytest.raises(ValueError, match="give `conditions`"):
        model.sample(3)
    assert model.sample(3, told[:3]).shape == (3, 2, 6, 6)
