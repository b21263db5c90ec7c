"""Compressed codes: learned densities are densities, rates are what a coder needs, and bits come back exactly."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import called
from torch import Tensor, distributions
from torch.nn import functional as F

import aebuild
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.diagnostics import DataError, SpecError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.divisive import DivisiveNorm
from aebuild.modules.entropy_models import Factorised, Hyperprior, UnivariateDensity, settled
from aebuild.modules.outputs import Batch
from aebuild.results.answer_records import FOLDER, AnswerRecord
from aebuild.results.inference.bitstreams import read_bits, write_bits
from aebuild.results.inference.new_data import own_split
from aebuild.results.open_run import open_run
from aebuild.trainer.run_dir.records import record_in

IMAGES = "data: digits\nencoder: {layer: conv, width: 6, stride: 2}\n"
HYPER = "{type: hyperprior, dim: 2, encoder: [conv: {width: 4, stride: 2}], decoder: [conv: 4]}"
KINDS = {"vector": ("data: wine\nencoder: []\n", "dim: 3"), "grid": (IMAGES, "dim: 3, per: position"),
         "hyper": (IMAGES, f"dim: 3, per: position, prior: {HYPER}"),
         "hyper of a vector": ("data: wine\nencoder: []\n", "dim: 3, prior: {type: hyperprior, dim: 2, encoder: [linear: 4], decoder: [linear: 4]}"),
         "sequence": ("data: {type: arrays, path: x.npy, shape: [6, 4]}\nencoder: {layer: lstm, width: 5, returns: sequence}\n",
                      "dim: 3, per: position, prior: {type: hyperprior, dim: 2}")}


def model_of(kind: str) -> tuple[Autoencoder, Batch]:
    head, latent = KINDS[kind]
    loaded = load("spec.yaml", text=f"{head}latent: {{type: compressed, {latent}}}\nlosses: {{rate: 0.1}}\n")
    assert loaded.plan is not None, loaded.errors
    x = 3 * torch.randn(5, *loaded.plan.input.shape, generator=torch.Generator().manual_seed(0))
    return build(loaded.plan), Batch(x, x)


def wild(features: int = 3) -> UnivariateDensity:
    """A density whose weights are far from their start."""
    density = UnivariateDensity(features).double()
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return density


def test_the_distribution_function_is_the_papers() -> None:
    """Ballé et al. (2018), appendix 6.1, layer by layer."""
    density, x = wild(2), torch.linspace(-30, 30, 61, dtype=torch.float64)
    for feature in range(2):
        for place in (0, 20, 33, 60):
            u = x[place].view(1, 1)
            for k in range(4):
                named = dict(density.named_parameters())
                u = F.softplus(named[f"matrix_{k}"][feature]) @ u + named[f"bias_{k}"][feature]
                if k < 3:
                    u = u + torch.tanh(named[f"factor_{k}"][feature]) * torch.tanh(u)
            torch.testing.assert_close(density(x.expand(2, -1))[feature, place], u[0, 0])
    assert (density(x.expand(2, -1)).diff(dim=1) > 0).all()


def test_chances_of_whole_numbers_add_up_to_one() -> None:
    density, steps = wild(), torch.arange(-3000, 3001, dtype=torch.float64).expand(3, -1)
    torch.testing.assert_close(density.mass(steps).sum(1), torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)
    middle = density.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64).expand(3, -1))
    torch.testing.assert_close(torch.sigmoid(density(middle)), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64).expand(3, -1))
    far = density.mass(torch.full((3, 1), 500.0, dtype=torch.float64))
    assert (far > 0).all(), "the difference of two numbers near 1 would be 0"


def test_draws_are_distributed_so() -> None:
    prior = Factorised((2,), 1)
    drawn = prior.draw(20_000, torch.device("cpu"))
    share = (drawn == 0).double().mean(0)
    wanted = prior.density.mass(torch.zeros(2, 1)).double().squeeze(1)
    assert torch.equal(drawn, drawn.round())
    torch.testing.assert_close(share, wanted.detach(), atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_while_training_and_rounding_later(kind: str) -> None:
    model, batch = model_of(kind)
    y = model.latent.project(model.features(batch.x)).detach()
    noise = model.train().run(batch).code.value.detach() - y
    assert noise.abs().max() <= 0.5 + 1e-5 and noise.std() == pytest.approx(1 / math.sqrt(12), rel=0.35)
    judged = model.eval().run(batch)
    assert torch.equal(judged.code.value, y.round())
    outputs = model.train().run(batch)
    found = model.losses(outputs, ["rate"])["rate"]
    assert found.shape == (5,) and (found > 0).all()
    found.sum().backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
    assert {name for name, _ in model.named_parameters() if name.startswith(("latent.prior", "latent.projection"))} <= reached
    assert not any(name.startswith("decoder") for name in reached)


def test_a_hyperprior_costs_what_the_normal_distribution_says() -> None:
    model, _ = model_of("hyper")
    prior: Hyperprior = settled(model.latent.prior)
    y = torch.randint(-2, 3, (5, 3, 4, 4), generator=torch.Generator().manual_seed(2)).double()
    z = prior.summary(prior.encoder(y.abs())).round()
    normal = distributions.Normal(0.0, prior.deviation(z))
    wanted = -(normal.cdf(y + 0.5) - normal.cdf(y - 0.5)).log().flatten(1).sum(1) + prior.small.rate(z)
    torch.testing.assert_close(prior.rate(y), wanted)
    assert (prior.deviation(z) >= 0.11).all()


class Listed:
    """Stands for a coder: keeps what is written, with the bits that it is worth."""

    def __init__(self) -> None:
        self.held: list[Tensor] = []
        self.bits = 0.0

    def categorical(self, symbols: Any, chances: Any) -> Any:
        if isinstance(symbols, int):
            return self.held.pop(0)
        assert symbols.min() >= 0 and symbols.max() < len(chances)
        self.bits -= float(chances[symbols].clamp(min=1e-9).log2().sum())
        self.held.append(symbols)
        return None

    def gaussian(self, *given: Any) -> Any:
        if len(given) == 3:
            return self.held.pop(0)
        symbols, spread, low, high = given
        assert low <= symbols.min() <= symbols.max() <= high
        normal, tail = distributions.Normal(torch.zeros_like(spread), spread), -symbols.abs()       # where differences are exact
        self.bits -= float((normal.cdf(tail + 0.5) - normal.cdf(tail - 0.5)).clamp(min=1e-9).log2().sum())
        self.held.append(symbols)
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_worth_the_rate_and_is_read_again(kind: str) -> None:
    model, batch = model_of(kind)
    prior, coder = settled(model.latent.prior), Listed()
    code = model.eval().run(batch).code.value.detach().double()
    ends = prior.reach(code)
    prior.write(code, coder, ends)
    assert coder.bits == pytest.approx(float(prior.rate(code).detach().sum()) / math.log(2), rel=1e-6)
    assert torch.equal(prior.read(5, coder, ends), code)


@pytest.mark.parametrize("kind", ["vector", "grid", "hyper"])
def test_the_coder_needs_the_rate_and_hardly_more(kind: str) -> None:
    """Measured bits are not below what the distribution says, and at most 1 % above it."""
    pytest.importorskip("constriction")
    from aebuild.metrics.entropy_coding import RangeReader, RangeWriter

    model, _ = model_of(kind)
    prior = settled(model.latent.prior)
    code, sink = prior.draw(1500, torch.device("cpu")), RangeWriter()
    if kind == "hyper":                                       # untrained it says 0.7 of everything
        code = (0.7 * torch.randn(code.shape, generator=torch.Generator().manual_seed(3), dtype=code.dtype)).round()
    ends = prior.reach(code)
    prior.write(code, sink, ends)
    estimate, measured = float(prior.rate(code).detach().sum()) / math.log(2), 32 * len(sink.words)
    assert estimate * (1 - 1e-5) <= measured <= 1.01 * estimate + 64
    assert torch.equal(prior.read(len(code), RangeReader(sink.words), ends), code)


def test_numbers_that_are_all_the_same_are_read_again() -> None:
    pytest.importorskip("constriction")
    from aebuild.metrics.entropy_coding import RangeReader, RangeWriter

    sink = RangeWriter()
    sink.gaussian(np.full(9, 2), np.full(9, 0.5), 2, 2)
    assert RangeReader(sink.words).gaussian(np.full(9, 0.5), 2, 2).tolist() == [2] * 9


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A compressed run, the same from another seed, and a continuous one."""
    place, rest = tmp_path_factory.mktemp("runs"), "encoder: []\ntrain: {steps: 3, batch_size: 20}\nevaluate: {pictures: 1"
    kinds = {"one": ("{type: compressed, dim: 3}\nlosses: {rate: 0.1}", 1), "two": ("{type: compressed, dim: 3}\nlosses: {rate: 0.1}", 2),
             "plain": ("{type: continuous, dim: 3}", 1)}
    for name, (latent, seed) in kinds.items():
        spec = place / f"{name}.yaml"
        task = ", tasks: [compression, reconstruction]" if name == "one" else ""
        spec.write_text(f"name: {name}\ndata: {{type: wine, limit: 40}}\nlatent: {latent}\n{rest}{task}}}\n")
        aebuild.train(spec, [f"train.seed={seed}"], folder=place / name)
    return [place / name for name in kinds]


def test_bits_come_back_exactly(runs: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("constriction")
    run = open_run(runs[0])
    data = own_split(run, "test")
    found = write_bits(run, data, tmp_path / "codes.bits")
    back = read_bits(run, tmp_path / "codes.bits")
    assert np.array_equal(back, run.encode(data).values)
    assert found["bits_per_value"] == pytest.approx(found["bits"] / len(data) / 13)
    asked, plain = (record_in(runs[0] / FOLDER / f"{name}.json", AnswerRecord).figures for name in ("compression", "reconstruction"))
    rate = plain["rate"]
    assert asked["estimated_bits"] == pytest.approx(rate, rel=1e-4)
    assert asked["coded_bits"] == pytest.approx(found["bits_per_sample"], rel=1e-6)


def test_the_shell_writes_and_reads_bits(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("constriction")
    monkeypatch.chdir(tmp_path)
    code, out, _ = called(("encode", runs[0], "--bits", "--json"), monkeypatch, capsys)
    told = json.loads(out)
    assert code == 0 and told["output"] == "codes.bits" and told["bits"] > 0
    assert called(("encode", runs[0], "-q"), monkeypatch, capsys)[0] == 0
    for codes in ("codes.bits", "codes.npz"):
        assert called(("decode", runs[0], codes, "-q", "-o", f"from-{codes}.npz"), monkeypatch, capsys)[0] == 0
    with np.load("from-codes.bits.npz") as one, np.load("from-codes.npz.npz") as other:
        assert np.array_equal(one["x"], other["x"])
    assert called(("encode", runs[0], "--bits", "-o", "codes.npz", "--force"), monkeypatch, capsys)[0] == 2
    assert called(("encode", runs[0], "--bits", "--draw", "2"), monkeypatch, capsys)[0] == 2
    assert called(("encode", runs[2], "--bits", "--force"), monkeypatch, capsys)[0] == 3


def test_what_is_no_bitstream_of_this_model_is_refused(runs: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("constriction")
    run, other, plain = map(open_run, runs)
    place = tmp_path / "codes.bits"
    write_bits(run, own_split(run, "test"), place)
    whole = place.read_bytes()

    def refused(model: Any) -> str:
        with pytest.raises(DataError) as caught:
            read_bits(model, place)
        diagnostic, = caught.value.diagnostics
        assert diagnostic.code == "AE481"
        return diagnostic.message

    assert "other weights" in refused(other)
    flipped = bytearray(whole)
    flipped[whole.index(b"\n", whole.index(b"{")) + 3] ^= 64
    for broken in (b"", b"no bits", whole[:-4], whole.replace(b'"samples"', b'"sampled"'), whole.replace(b"{", b"[", 1), bytes(flipped)):
        place.write_bytes(broken)
        assert "codes.bits" in refused(run)
    with pytest.raises(SpecError, match="no distribution to write it by"):
        write_bits(plain, own_split(plain, "test"), place)


@pytest.mark.parametrize("axis", [1, -1])
def test_divisive_normalisation_is_the_papers_and_its_inverse_multiplies(axis: int) -> None:
    """Ballé et al. (2016), equation 4, with α = 2 and ε = ½."""
    module, x = DivisiveNorm(3, axis, inverse=False).double(), torch.randn(2, 3, 3, dtype=torch.float64)
    with torch.no_grad():
        module.root_gamma.normal_()
        module.root_beta.normal_()
    beta, gamma = module.root_beta.square() + 1e-6, module.root_gamma.square()
    last = x.movedim(axis, -1)
    wanted = torch.stack([last[..., i] / (beta[i] + sum(gamma[i, j] * last[..., j] ** 2 for j in range(3))).sqrt() for i in range(3)], -1)
    torch.testing.assert_close(module(x).movedim(axis, -1), wanted)
    module.inverse = True
    torch.testing.assert_close(module(x) * wanted.movedim(-1, axis), x.square())
    loaded = load("spec.yaml", text="data: digits\nencoder: [conv: {width: 4, stride: 2, activation: gdn}]\nlatent: {type: continuous, dim: 2}\n")
    assert loaded.plan is not None
    assert [m.inverse for m in build(loaded.plan).modules() if isinstance(m, DivisiveNorm)] == [False, True]
