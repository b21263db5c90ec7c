"""Law: the programs of any model, written and read again, give what the model gives, also for other batches and other lengths."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models import fine, samples
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.front import Loaded, load
from aebuild.lang.splits import Scaling
from aebuild.results.export import formats
from aebuild.results.export.halves import beside
from aebuild.results.export.programs import ENDINGS, Exporter
from aebuild.results.export.samples import RawSamples
from aebuild.results.export.series_length import lengthened
from aebuild.results.trained_run import TrainedRun
from specs import specs

MANY = settings.default.max_examples if settings.default else 100
PARTS = st.sampled_from(("model", "encoder", "decoder"))
STEPS = ("gru: 5", "lstm: {width: 4, bidirectional: true, returns: sequence}", "rnn: {width: 3, reverse: true, returns: sequence}",
         "transformer: {width: 4, heads: 2, positions: none, returns: sequence}", "norm: layer", "residual: [gru: {width: 4, returns: sequence}]",
         "transformer: {width: 4, heads: 2, positions: rotary, window: 2, returns: sequence}", "transformer: {width: 4, positions: alibi, causal: true}",
         "cross_attention: {width: 4, heads: 2, queries: 3, positions: none}")
GRIDS = ("conv: {width: 3, kernel: 3}", "conv: {width: 2, stride: 2}", "conv: {width: 2, kernel: 4, padding: 0}", "pool: 2", "linear: 4", "attention")
LATENTS = ("{type: continuous, dim: 3}", "{type: gaussian, dim: 2}", "{type: codebook, dim: 4, codes: 7, groups: 2, per: sample}")
PLACED = ("{type: continuous, dim: 3, per: position}", "{type: gaussian, dim: 2, per: position}", "{type: codebook, dim: 2, codes: 5}")


@st.composite
def series(draw: Any) -> str:
    """A spec of series, of one length or of unequal lengths, numbers or tokens, whose length the design fixes or not."""
    unequal, tokens = draw(st.booleans()), draw(st.booleans())
    steps = draw(st.lists(st.sampled_from(STEPS if unequal else (*STEPS, *GRIDS)), min_size=1, max_size=3))
    data = f"{{type: arrays, path: x.npz, {'as: tokens, vocabulary: 6, shape: [9]' if tokens else 'shape: [9, 2]'}{', lengths: n' if unequal else ''}}}"
    return (f"name: x\ndata: {data}\nencoder: [{', '.join(steps)}]\nlatent: {draw(st.sampled_from(LATENTS if unequal else LATENTS + PLACED))}\n"
            f"losses: {{reconstruction: {'categorical' if tokens else 'mse'}}}\n")


def imagined(loaded: Loaded, seed: int) -> TrainedRun:
    """A run that was never trained: the model of a spec, and some scaling of its data."""
    plan, info, draw = loaded.plan, loaded.info, np.random.default_rng(seed)
    assert plan is not None and info is not None
    count = info.value.features
    if info.value.kind == "tokens":
        return TrainedRun(cast("Any", None), plan, build(plan, seed).eval(), info, Scaling("tokens"), None, "")
    scaling = Scaling("standard", tuple(draw.normal(0, 5, count)), tuple(draw.uniform(0.2, 3, count)), last=info.value.series_length is not None)
    return TrainedRun(cast("Any", None), plan, build(plan, seed).eval(), info, scaling, None, "")


def raw_of(run: TrainedRun, places: int | None, seed: int) -> RawSamples:
    """Five samples before scaling, of a series with so many places; behind the end of unequal ones stands anything."""
    info, plan = run.info, run.plan
    value = info.value if places is None else lengthened(info.value, places)
    batch = samples(replace(info, value=value, target=value), plan, 5, seed)
    raw, told = run.scaling.undo(batch.x.numpy()), None if batch.conditions is None else batch.conditions.numpy()
    return RawSamples(raw, np.random.default_rng(seed).integers(1, value.places[0] + 1, 5) if info.ragged else None, told)


def own_answer(run: TrainedRun, part: str, raw: RawSamples) -> Tensor:
    """What the model itself says, free of noise: by numpy's scaling, the posterior's mean and the likelihood's."""
    model, lengths = run.model, None if raw.lengths is None else torch.from_numpy(raw.lengths)
    context: dict[str, Any] = {} if lengths is None else {"lengths": lengths}
    context |= {} if raw.conditions is None else {"conditions": torch.from_numpy(raw.conditions)}
    features = model.features(torch.from_numpy(run.scaling.apply(raw.values)), context)
    code = model.latent(features, context)
    value = code.value if code.posterior is None else code.posterior.mean
    if part == "encoder":
        return value if code.indices is None else cast("Tensor", code.indices)
    back = model.decode(value, context)
    if lengths is not None and part == "model":
        back[torch.arange(back.shape[1]) >= lengths[:, None]] = 0
    return torch.from_numpy(run.scaling.undo(back.numpy()))


def check(text: str, kind: str, seed: int, part: str) -> None:
    """Writes a part of a spec's model, and runs what stands in the file on other data, in batches of one and of four."""
    run = imagined(fine(text), seed)
    part = "model" if "decode" in run.model.refusals else part
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        exporter = Exporter(run, Path(folder), raw_of(run, None, 1))
        exporter.write(part, [kind])
        program, length = read(Path(folder) / f"{part}{ENDINGS[kind]}", kind), exporter.lengths.get(part)
        others = [length.usual + 3 * length.step, length.least + length.step] if length is not None and length.least is not None and part != "decoder" else []
        for places in (None, *others):
            raw = raw_of(run, places, 2)
            for rows in (slice(0, 1), slice(1, None)):
                some = RawSamples(*(None if held is None else held[rows] for held in vars(raw).values()))
                first = own_answer(run, "encoder", some) if part == "decoder" else torch.from_numpy(some.values)
                given = [first, *(torch.from_numpy(getattr(some, name)) for name in beside(run, part))]
                torch.testing.assert_close(program(*given), own_answer(run, part, some), rtol=1e-3, atol=1e-4)


def read(file: Path, kind: str) -> Any:
    """The program of a file, as another program would run it."""
    return torch.export.load(file).module() if kind == "torch" else formats.onnx_session(file)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "SECONDS", 0.0)


@pytest.mark.slow
@settings(max_examples=max(1, MANY // 33))
@given(specs(), st.integers(0, 99), PARTS)
def test_programs_of_torch_are_the_model(text: str, seed: int, part: str) -> None:
    check(text, "torch", seed, part)


@pytest.mark.slow
@settings(max_examples=max(1, MANY // 33))
@given(series(), st.integers(0, 99), PARTS)
def test_programs_of_series_are_the_model_at_any_length(text: str, seed: int, part: str) -> None:
    assume(load("generated.yaml", text=text).plan is not None)          # not each row of steps fits
    check(text, "torch", seed, part)


@pytest.mark.slow
@settings(max_examples=max(1, MANY // 100))
@given(st.one_of(specs(), series()), st.integers(0, 99), PARTS)
def test_programs_of_onnx_are_the_model(text: str, seed: int, part: str) -> None:
    assume(load("generated.yaml", text=text).plan is not None)
    check(text, "onnx", seed, part)
