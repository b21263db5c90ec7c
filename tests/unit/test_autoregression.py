"""Decoders that read their own target: causality, exact likelihood, and generation that equals it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_exported import imagined, raw_of, read
from torch import Tensor, nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.autoregression import Autoregression, Entry
from aebuild.modules.causal import CausalBlock
from aebuild.modules.mu_law_likelihood import MuLaw
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules, reseed
from aebuild.results.export import formats
from aebuild.results.export.generation import Generation, generation
from aebuild.results.export.programs import Exporter
from aebuild.results.part_laws.exact_plan import compare

IMAGE = "data: {type: arrays, path: x.npy, shape: [%d, %d, %d], scale: unit}\nencoder: [linear: 5]\nlatent: {type: continuous, dim: 3}\n"
SERIES = "data: {type: arrays, path: x.npy, shape: [%d, 2]}\nencoder: [gru: 5]\nlatent: {type: continuous, dim: 3}\n"
WAVE = "data: {type: arrays, path: x.npy, shape: [1, %d], as: grid, scale: signed}\nencoder: [linear: 5]\nlatent: {type: continuous, dim: 3}\n"
TEXT = "data: {type: arrays, path: x.npy, as: tokens, shape: [%d], vocabulary: %d}\nencoder: [gru: 5]\nlatent: {type: continuous, dim: 3}\n"
PLACED = ("data: {type: arrays, path: x.npy, as: tokens, shape: [8], vocabulary: 5}\nencoder: [cross_attention: {width: 4, queries: %d}]\n"
          "latent: {type: continuous, dim: 3, per: position}\n")
NORMAL = "losses: {reconstruction: {type: gaussian, variance: learned}}\n"
LEVELS = "losses: {reconstruction: {type: discretized_logistic, levels: 4, scale: 0.5}}\n"
DIGITS = "data: {type: digits, size: [2, 3], %s}\nencoder: [linear: 5]\nlatent: {type: continuous, dim: 3}\n"
TOLD = "losses: {reconstruction: categorical}\n"


def holed(text: str) -> str:
    """The same data with values that are missing."""
    return text.replace("}", ", missing: mask}", 1)


SPECS = {
    "image": IMAGE % (2, 5, 4) + "decoder: [pixelcnn: {width: 4, depth: 6, reach: 1}, conv: {width: 3, kernel: 1}]\n" + LEVELS,
    "image of channels apart": IMAGE % (3, 3, 4) + "decoder: [pixelcnn: {width: 4, depth: 3, channels: apart}]\n" + LEVELS,
    "image of colours": IMAGE % (3, 3, 4) + "decoder: [conv: 3, pixelcnn: {width: 4, depth: 3}, conv: {width: 5, kernel: 1, activation: tanh}]\n"
                        "losses: {reconstruction: {type: discretized_logistic_mixture, components: 2, levels: 9}}\n",
    "image behind convolutions": IMAGE % (1, 4, 6) + "decoder: [conv: 3, conv: 2, pixelcnn: {width: 4, depth: 3, reach: 2}]\n" + LEVELS,
    "waveform": WAVE % 23 + "decoder: [wavenet: {width: 4, depth: 5, cycle: 3, skips: 12}]\n"
                "losses: {reconstruction: {type: discretized_logistic_mixture, components: 2, levels: 9}}\n",
    "waveform of µ-law levels": WAVE % 9 + "decoder: [wavenet: {width: 4, depth: 3, skips: 12}]\n"
                                "losses: {reconstruction: {type: mu_law, levels: 7}}\n",
    "waveform behind convolutions": WAVE % 12 + "decoder: [conv: 3, wavenet: {width: 4, depth: 4, kernel: 3}, conv: {width: 3, kernel: 1}]\n"
                                    "losses: {reconstruction: {type: discretized_logistic, levels: 9, scale: predicted}}\n",
    "image with holes": holed(IMAGE % (2, 2, 3)) + "decoder: [pixelcnn: {width: 4, depth: 4}]\n" + LEVELS,
    "series with holes": holed(SERIES % 5) + "decoder: [wavenet: {width: 4, depth: 2}]\n" + NORMAL,
    "series with holes by attention": holed(SERIES % 5) + "decoder: [causal_transformer: {width: 4, depth: 1, heads: 2}]\n" + NORMAL,
    "series by convolutions": SERIES % 9 + "decoder: [wavenet: {width: 4, depth: 4, kernel: 1}, conv: {width: 3, kernel: 1}]\n" + NORMAL,
    "series by attention": SERIES % 9 + "decoder: [causal_transformer: {width: 4, depth: 2, heads: 2, told: each}, activation: tanh]\n" + NORMAL,
    "series behind a recurrence": SERIES % 7 + "decoder: [gru: 4, causal_transformer: {width: 4, depth: 1, heads: 1}]\n"
                                  "losses: {reconstruction: laplace}\n",
    "text by attention": TEXT % (8, 5) + "decoder: {layer: causal_transformer, width: 4, depth: 2, heads: 2}\n" + TOLD,
    "text by attention to a code in places": PLACED % 3 + "decoder: {layer: causal_transformer, width: 4, depth: 2, heads: 2}\n" + TOLD,
    "series that asks a code in places": SERIES.replace("dim: 3", "dim: 3, per: position") % 5
                                         + "decoder: [causal_transformer: {width: 4, depth: 2, heads: 2, told: cross}]\n" + NORMAL,
    "text by convolutions": TEXT % (8, 5) + "decoder: {layer: wavenet, width: 4, depth: 3}\n" + TOLD,
}
EVERY = pytest.mark.parametrize("text", SPECS.values(), ids=list(SPECS))


def made(text: str, seed: int = 1) -> tuple[Any, Autoencoder, Autoregression]:
    loaded = load("spec.yaml", text=text)
    assert not loaded.errors, [d.message for d in loaded.errors]
    model = build(loaded.require(), seed).eval()
    found, = (module for module in model.decoder if isinstance(module, Autoregression))
    return loaded.require(), model, found


def drawn(plan: Any, model: Autoencoder, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, what is generated of them, and the parameters on the way."""
    code = torch.randn(count, *plan.latent.code.shape, generator=torch.Generator().manual_seed(0))
    context: dict[str, Any] = {}
    reseed(random_modules(model), 0, 0)
    params = model.parameters_of(code, context)
    return code, context["generated"], params


@EVERY
def test_generation_is_the_forward_pass_place_by_place(text: str) -> None:
    """Cached steps give the parameters that all places at once give for the data they drew; the plan's figures are the module's."""
    plan, model, _ = made(text)
    assert compare(plan) == []
    with torch.no_grad():
        code, data, params = drawn(plan, model, 3)
        again = model.parameters_of(code, {"target": data})
    torch.testing.assert_close(params, again, rtol=1e-4, atol=1e-5)
    assert data.shape == (3, *plan.target.shape) and data.dtype == (torch.int64 if plan.target.dtype == "int64" else torch.float32)
    assert torch.equal(drawn(plan, model, 3)[1], data), "the same seed draws the same"
    assert model.decode(code).shape == data.shape


@EVERY
def test_a_place_depends_on_all_before_it_and_on_nothing_else(text: str) -> None:
    """No blind spot, and no gradient from a place or a later one; of a WaveNet as far back as it sees."""
    plan, model, module = made(text)
    generator = torch.Generator().manual_seed(0)
    shape = plan.target.shape
    tokens = plan.target.dtype == "int64"
    data = torch.randint(0, 5, (1, *shape), generator=generator) if tokens else torch.rand(1, *shape, generator=generator)
    code = torch.randn(1, *plan.latent.code.shape, generator=generator)
    for front in list(model.decoder.children())[:-1]:
        code = front(code)
    entered = module.network.entry(data).detach().requires_grad_()
    params = module.at_once(code, entered)
    axis_in = 1 if entered.ndim == 4 or module.network.entry.first or module.axis == 1 else 2
    steps = module.network.steps
    outs = params.movedim(1 if module.axis == 1 else 2, 1).flatten(2)[0].unflatten(0, (steps, -1)).sum(1)    # (steps, places)
    far = None if "wavenet" not in text else sum(step.span for step in module.network.layers) + 1  # type: ignore[union-attr]
    for step, place in itertools.product(range(steps), range(outs.shape[1])):
        found, = torch.autograd.grad(outs[step, place], entered, retain_graph=True)
        seen = found.movedim(axis_in, 1).flatten(2)[0].unflatten(0, (steps, -1)).abs().sum(1) > 0             # (steps, places)
        least = 0 if far is None else max(0, place - far)
        wanted = torch.zeros_like(seen)
        wanted[:, least:place] = True
        wanted[:step, place] = True
        assert torch.equal(seen, wanted), (step, place)


def test_numbers_of_a_known_range_enter_between_minus_one_and_one() -> None:
    values = torch.tensor([[[2.0, 4.0, 10.0]]])
    torch.testing.assert_close(Entry(None, 0, 2.0, 10.0, axis=1, first=False)(values), torch.tensor([[[-1.0, -0.5, 1.0]]]))
    assert torch.equal(Entry(None, 0, None, None, axis=1, first=False)(values), values)


@pytest.mark.parametrize("text", [
    DIGITS % "binarize: static" + "decoder: [pixelcnn: {width: 4, depth: 2}]\n" + TOLD.replace("categorical", "bernoulli"),
    IMAGE % (2, 1, 2) + "decoder: [pixelcnn: {width: 4, depth: 2}]\n" + LEVELS.replace("levels: 4", "levels: 2"),
    IMAGE % (3, 1, 2) + "decoder: [pixelcnn: {width: 4, depth: 2}]\n" + LEVELS.replace("levels: 4", "levels: 2"),
    IMAGE % (2, 1, 2) + "decoder: [pixelcnn: {width: 4, depth: 2, channels: apart}]\n" + LEVELS.replace("levels: 4", "levels: 2"),
    TEXT % (3, 4) + "decoder: [causal_transformer: {width: 4, depth: 1, heads: 2}]\n" + TOLD,
    TEXT % (3, 4) + "decoder: [wavenet: {width: 4, depth: 2}]\n" + TOLD], ids=["zeros and ones", "two channels", "three channels", "channels apart", "attention", "convolutions"])
def test_the_likelihood_sums_to_one_and_draws_follow_it(text: str) -> None:
    plan, model, _ = made(text)
    values = range(4 if plan.target.dtype == "int64" else 2)
    every = torch.tensor(list(itertools.product(values, repeat=torch.Size(plan.target.shape).numel())))
    every = every.view(-1, *plan.target.shape).to(torch.int64 if plan.target.dtype == "int64" else torch.float32)
    code = torch.ones(1, 3)
    with torch.no_grad():
        chances = (-model.likelihood(model.parameters_of(code.expand(len(every), -1), {"target": every}), every)).exp()
        assert float(chances.sum()) == pytest.approx(1, abs=1e-5)
        reseed(random_modules(model), 3, 0)
        data = model.decode(code.expand(20_000, -1))
    same = (data.flatten(1)[:, None] == every.flatten(1)[None]).all(2).double().mean(0)
    assert float((same - chances).abs().max()) < 4 * 0.5 / 20_000 ** 0.5


def test_a_block_that_asks_equals_torchs() -> None:
    """nn.TransformerDecoderLayer, normalised before (Vaswani et al., 2017; Xiong et al., 2020)."""
    ours, theirs = CausalBlock(8, 2, True, True), nn.TransformerDecoderLayer(8, 2, 32, 0.0, nn.functional.gelu, batch_first=True, norm_first=True)
    held = dict(ours.state_dict())
    names = {"attention_norm": "norm1", "cross_attention_norm": "norm2", "mlp_norm": "norm3", "attention.out": "self_attn.out_proj",
             "cross_attention.out": "multihead_attn.out_proj", "mlp.expand": "linear1", "mlp.contract": "linear2"}
    for kind in ("weight", "bias"):
        state = {f"{to}.{kind}": held[f"{name}.{kind}"] for name, to in names.items()}
        asked = torch.cat([held[f"cross_attention.q.{kind}"], held[f"cross_attention.kv.{kind}"]])
        theirs.load_state_dict({**state, f"self_attn.in_proj_{kind}": held[f"attention.qkv.{kind}"], f"multihead_attn.in_proj_{kind}": asked},
                               strict=False)
    x, memory = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    later = nn.Transformer.generate_square_subsequent_mask(5)
    torch.testing.assert_close(ours(x, memory), theirs(x, memory, tgt_mask=later))


@pytest.mark.parametrize("name", [name for name in SPECS if "holes" in name])
def test_what_is_missing_changes_no_loss_and_no_gradient(name: str) -> None:
    """Whatever stands there; that something is missing is told to the places behind."""
    plan, model, _ = made(SPECS[name])
    generator = torch.Generator().manual_seed(0)
    x, other = torch.rand(2, 4, *plan.target.shape, generator=generator)
    known = torch.rand(x.shape, generator=generator) < 0.6

    def judged(target: Tensor, known: Tensor) -> list[Tensor]:
        model.zero_grad()
        raw = model.losses(model.run(Batch(x, target, mask=known)), ["reconstruction"])["reconstruction"]
        raw.sum().backward()  # type: ignore[no-untyped-call]
        return [raw.detach(), *(parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None)]

    found = judged(x, known)
    assert all(map(torch.equal, found, judged(torch.where(known, x, other), known)))
    assert not torch.equal(found[0], judged(torch.where(known, other, x), known)[0])
    first = torch.zeros_like(known).flatten(1)
    first[:, -1] = True          # the last element alone is judged: by what is known before it
    only, before = first.view_as(known), known & ~first.view_as(known)
    with torch.no_grad():
        last = [float(model.likelihood.within(model.parameters_of(torch.ones(4, 3), {"target": x, "mask": told}), x, None, only).sum())
                for told in (before | only, only)]
    assert last[0] != last[1]


def test_of_samples_with_holes_the_likelihood_is_of_what_is_known() -> None:
    """Over all values of what is known the chances sum to one, for each value of what is not."""
    _, model, _ = made(holed(IMAGE % (2, 1, 2)) + "decoder: [pixelcnn: {width: 4, depth: 2}]\n" + LEVELS.replace("levels: 4", "levels: 2"))
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4))).view(-1, 2, 1, 2)
    known = torch.tensor([True, False, True, True]).view(1, 2, 1, 2).expand(16, -1, -1, -1)
    with torch.no_grad():
        params = model.parameters_of(torch.ones(16, 3), {"target": every, "mask": known})
        chances = (-model.likelihood.within(params, every, None, known)).exp().view(2, 2, 2, 2)
    assert torch.equal(chances[:, 0], chances[:, 1])
    assert float(chances[:, 0].sum()) == pytest.approx(1, abs=1e-5)


def test_hidden_places_are_hidden_in_training_alone() -> None:
    _, model, module = made(SPECS["text by attention"].replace("heads: 2", "heads: 2, input_dropout: 0.999999"))
    code, first, second = torch.randn(2, 3), torch.zeros(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    told = [module(code, {"target": target}) for target in (first, second)]
    assert not torch.equal(*told)
    model.train()
    told = [module(code, {"target": target}) for target in (first, second)]
    torch.testing.assert_close(*told)


def test_draws_of_codes_and_losses_read_the_truth() -> None:
    """Several draws of a code, as bounds take them, are judged by the same truth."""
    _, model, _ = made(SPECS["text by attention"].replace("continuous", "gaussian"))
    x = torch.randint(0, 5, (4, 8))
    outputs = model.run(Batch(x, x), draws=3)
    assert outputs.params is not None and outputs.params.shape[0] == 12
    assert model.losses(outputs, ["reconstruction"])["reconstruction"].shape == (12,)
    assert model.interpolate(x[:2], x[2:], 3).shape == (3, 2, 8) and model.sample(2).shape == (2, 8)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "text"), [
    ("torch", SERIES % 4 + "decoder: [causal_transformer: {width: 4, depth: 1, heads: 2}]\n" + NORMAL),
    ("onnx", IMAGE % (2, 2, 3) + "decoder: [pixelcnn: {width: 4, depth: 2}]\n" + LEVELS)], ids=["series", "image"])
def test_a_loop_around_the_program_makes_what_the_model_makes(kind: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both take the likeliest value at each place; the loop knows no more than what is written beside the program."""
    monkeypatch.setattr(formats, "SECONDS", 0.0)
    run = imagined(load("spec.yaml", text=text), 0)
    exporter = Exporter(run, tmp_path, raw_of(run, None, 0))
    written, = exporter.write("decoder", [kind])
    program, how = read(tmp_path / written.file, kind), generation(run)
    assert how is not None and written.difference < 1e-4
    code, made = torch.randn(3, 3, generator=torch.Generator().manual_seed(1)), torch.ones(3, *how.shape)
    axis, passes = how.feature_axis, 0
    assert axis is not None
    for place in itertools.product(*(range(extent) for number, extent in enumerate(how.shape) if number != axis)):
        for turn in range(how.shape[axis]) if how.in_turn else [slice(None)]:
            here, found, passes = (slice(None), *place[:axis], turn, *place[axis:]), program(code, made), passes + 1
            made[here] = found[0][here] if how.values is None else _likeliest(found[here], how, turn)
    assert passes == how.passes
    likelihood = run.model.likelihood

    def likeliest(params: Tensor, chance: Tensor) -> Tensor:
        held = likelihood.distribution(params)
        return likelihood.support()[held["log_probabilities"].argmax(-1)] if how.values is not None else held["mean"]

    context: dict[str, Any] = {"draw": likeliest}
    with torch.no_grad():
        run.model.parameters_of(code, context)
    torch.testing.assert_close(made, torch.from_numpy(run.scaling.undo(context["generated"].numpy())), rtol=1e-4, atol=1e-4)


def _likeliest(log_probabilities: Tensor, how: Generation, turn: int | slice) -> Tensor:
    """Raw values of the largest of [..., K]."""
    values = torch.tensor(how.values)
    return (values if values.ndim == 1 else values[turn])[log_probabilities.argmax(-1)]


@EVERY
def test_how_elements_are_distributed_is_what_they_are_judged_by(text: str) -> None:
    plan, model, _ = made(text)
    with torch.no_grad():
        params = drawn(plan, model, 3)[2]
        found, support = model.likelihood.distribution(params), model.likelihood.support()
        if support is None:
            law = torch.distributions.Normal if "mean" in found else torch.distributions.Laplace
            x = torch.randn_like(next(iter(found.values())))
            torch.testing.assert_close(model.likelihood.each(params, x), -law(*found.values()).log_prob(x), rtol=1e-4, atol=1e-5)
            return
        held = found["log_probabilities"]
        for number, value in enumerate(support):
            each = model.likelihood.each(params, torch.full(held.shape[:-1], value.item(), dtype=value.dtype))
            torch.testing.assert_close(each, -held[..., number], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(held.exp().sum(-1), torch.ones(held.shape[:-1]))


def test_mu_law_levels_are_those_of_the_formula() -> None:
    """The level of each level's value is itself; levels lie closer near 0, and the ends are the range's."""
    likelihood = MuLaw(256, -1.0, 1.0, 1)
    levels = torch.arange(256.0)
    values = likelihood.value_of(levels)
    assert torch.equal(likelihood.level_of(values), levels.long())
    assert values[0] == -1 and values[-1] == pytest.approx(1) and values.diff().min() < values.diff().max() / 100
    x = torch.linspace(-1, 1, 999)
    expected = ((x.sign() * (1 + 255 * x.abs()).log() / np.log(256) + 1) / 2 * 255 + 0.5).floor()
    assert (likelihood.level_of(x) - expected).abs().max() <= 1 and (likelihood.level_of(x) != expected).double().mean() < 0.01
