"""Law: the programs of any model, written and read again, give what the model gives, also for other batches and other lengths."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import fine, samples
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.front import Loaded
from aebuild.lang.splits import Scaling
from aebuild.modules.latent_gaussian import GaussianLatent
from aebuild.results.export import formats
from aebuild.results.export.programs import ENDINGS, Exporter
from aebuild.results.export.samples import RawSamples
from aebuild.results.export.series_length import lengthened
from aebuild.results.trained_run import TrainedRun
from specs import seeded, specs

MANY = settings.default.max_examples if settings.default else 100
SEQUENCES = st.integers(0, 2**32).map(seeded).filter(lambda text: "as: grid" not in text and fine(text).plan.input.kind == "sequence")  # type: ignore[union-attr]


def imagined(loaded: Loaded, seed: int) -> TrainedRun:
    """A run that was never trained: the model of a spec, and some scaling of its data."""
    plan, info, draw = loaded.plan, loaded.info, np.random.default_rng(seed)
    assert plan is not None and info is not None
    count = info.value.features
    scaling = Scaling("standard", tuple(draw.normal(0, 5, count)), tuple(draw.uniform(0.2, 3, count)), last=info.value.series_length is not None)
    return TrainedRun(cast("Any", None), plan, build(plan, seed).eval(), info, scaling, None, "")


def raw_of(run: TrainedRun, places: int | None, seed: int) -> RawSamples:
    """Five samples before scaling; of a series with so many places."""
    info, plan = run.info, run.plan
    batch = samples(info, plan, 5, seed)
    x = batch.x if places is None else torch.randn(5, *lengthened(info.value, places).shape, generator=torch.Generator().manual_seed(seed))
    return RawSamples(run.scaling.undo(x.numpy()).astype(np.float32))


def own_answer(run: TrainedRun, part: str, raw: Tensor) -> Tensor:
    """What the model itself says, free of noise: by numpy's scaling, the posterior's mean and the likelihood's."""
    model, context = run.model, cast("dict[str, Any]", {})
    features = model.features(torch.from_numpy(run.scaling.apply(raw.numpy())), context)
    code = model.latent(features, context)
    value = model.latent.posterior(model.latent.project(features)).mean if isinstance(model.latent, GaussianLatent) else code.value
    if part == "encoder":
        return value if code.indices is None else cast("Tensor", code.indices)
    return torch.from_numpy(run.scaling.undo(model.decode(value, context).numpy()))


def check(text: str, kind: str, seed: int, parts: tuple[str, ...] = ("model", "encoder", "decoder")) -> None:
    """Writes the parts of a spec's model, and runs what stands in the files on other data."""
    run = imagined(fine(text), seed)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        exporter = Exporter(run, Path(folder), raw_of(run, None, 1))
        for part in parts if "decode" not in run.model.refusals else parts[:1]:
            exporter.write(part, [kind])
            program = read(Path(folder) / f"{part}{ENDINGS[kind]}", kind)
            length = exporter.lengths.get(part)
            others = [length.usual + 3, length.least + 1] if length and length.least and part != "decoder" else []
            for places in (None, *others):
                raw = torch.from_numpy(raw_of(run, places, 2).values)
                given = own_answer(run, "encoder", raw) if part == "decoder" else raw
                for rows in (slice(0, 1), slice(1, None)):
                    wanted = own_answer(run, part, raw[rows])
                    torch.testing.assert_close(program(given[rows]), wanted, rtol=1e-3, atol=1e-4)


def read(file: Path, kind: str) -> Any:
    """The program of a file, as another program would run it."""
    return torch.export.load(file).module() if kind == "torch" else formats.onnx_session(file)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "SECONDS", 0.0)


@pytest.mark.slow
@settings(max_examples=MANY // 16)
@given(specs(), st.integers(0, 99))
def test_programs_of_torch_are_the_model(text: str, seed: int) -> None:
    check(text, "torch", seed)


@pytest.mark.slow
@settings(max_examples=MANY // 30)
@given(SEQUENCES, st.integers(0, 99))
def test_programs_of_series_are_the_model_at_any_length(text: str, seed: int) -> None:
    check(text, "torch", seed)


@pytest.mark.slow
@settings(max_examples=MANY // 50)
@given(specs(), st.integers(0, 99))
def test_programs_of_onnx_are_the_model(text: str, seed: int) -> None:
    check(text, "onnx", seed, ("model",))
