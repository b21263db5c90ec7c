"""Long samples in chunks: chunks of any size give what the whole gives, and what cannot go on from one to the next is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from command_line import called
from sequence_models import SERIES, plan_of

import aebuild
from aebuild.compile.build import build
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.values import Grid, Range, Value
from aebuild.results.inference import chunks
from aebuild.results.inference.chunks import Carried, chunk_size, in_chunks
from aebuild.results.inference.other_size import at_size, outputs, strides_of
from aebuild.results.trained_run import TrainedRun

WAVES = Grid(2, (12,))
POSITION = ", per: position"


def run_of(encoder: str, decoder: str, value: Value = SERIES, latent: str = POSITION) -> TrainedRun:
    made = plan_of(encoder, decoder, value=value, latent=latent)
    info = DataInfo(value, value, Range(), Range(), "standard", {"train": 100}, "made up")
    return TrainedRun(cast("Any", None), made, build(made, seed=1).eval(), info, cast("Any", None), None, "made up")


@pytest.mark.parametrize(("encoder", "decoder", "value"), [
    ("{layer: gru, depth: 2, width: 5, dropout: 0.5}", "{layer: lstm, depth: 2, width: 5}", SERIES),
    ("[residual: [rnn: {width: 4, nonlinearity: relu}, norm: layer], lstm: 5]", "[gru: 4, activation: tanh]", SERIES),
    ("[conv: {width: 4, kernel: 4, stride: 2, causal: true}, gru: 5]", "[lstm: 5, conv: {width: 4, kernel: 5, causal: true}]", WAVES),
    ("[gru: 4, conv: {width: 4, kernel: 3, stride: 3, dilation: 2, causal: true}, pool: 2, lstm: 4]",
     "[rnn: 5, conv: {width: 3, kernel: 2, stride: 3, upsample: nearest, causal: true}, upsample: 2]", Grid(2, (6,))),
    ("[conv: {width: 4, kernel: 3, stride: 2, causal: true, norm: batch}]", "[conv: {width: 4, kernel: 7, causal: true, weights: weight_norm}]", WAVES),
])
def test_chunks_of_any_size_give_what_the_whole_gives(encoder: str, decoder: str, value: Value) -> None:
    run = run_of(encoder, decoder, value)
    period, axis = strides_of(run)[0], 2 if isinstance(value, Grid) else 1
    whole = at_size(run, (12 * period,))
    assert whole is not None
    x = torch.randn(2, *whole.plan.input.shape, generator=torch.Generator().manual_seed(0))
    expected = outputs(whole, x)
    assert chunk_size(run, 5 * period + 1) == 6 * period
    for count in (1, 2, 4):
        sized = in_chunks(run, count * period)
        parts = torch.split(x, count * period, axis)
        with Carried(sized) as carried:
            found = torch.cat([outputs(sized, part) for part in parts], axis)
            torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
            carried.begin()
            torch.testing.assert_close(outputs(sized, parts[0]), expected.narrow(axis, 0, count * period), atol=2e-5, rtol=0)
        assert (outputs(sized, parts[1]) - found.narrow(axis, count * period, count * period)).abs().max() > 1e-4         # nothing is kept


@pytest.mark.parametrize(("encoder", "decoder", "latent", "why"), [
    ("[gru: {width: 4, bidirectional: true}]", "[gru: 4]", POSITION, "encoder.0 (gru) reads from both ends"),
    ("[gru: 4]", "[lstm: {width: 4, reverse: true}]", POSITION, "decoder.0 (lstm) reads from the last place to the first"),
    ("[gru: 4]", "[gru: {width: 4, feed: previous}]", "", "its code is vector(4), one for the whole sample"),
    ("[conv: 4, gru: 4]", "[gru: 4]", POSITION, "looks at later places too"),
    ("[gru: 4]", "[transformer: 4]", POSITION, "sees all places"),
    ("[conv: {width: 4, kernel: 3, stride: 3, causal: false}]", "[conv: {width: 4, kernel: 3, causal: true}]", POSITION, "what comes of chunks"),
    ("[gru: 4]", "[gru: 4, squeeze_excitation: 2]", POSITION, "what comes of chunks"),
])
def test_what_looks_on_is_refused_with_the_reason(encoder: str, decoder: str, latent: str, why: str) -> None:
    run = run_of(encoder, decoder, Grid(2, (12,)) if "kernel" in encoder or "squeeze" in decoder else SERIES, latent)
    with pytest.raises(AebuildError, match="AE860") as refused:
        in_chunks(run, 12)
    assert why in str(refused.value)


def whole_of(run: TrainedRun, steps: np.ndarray) -> np.ndarray:
    """What the model makes of raw values [T, D] in one go, in the data's units."""
    whole = at_size(run, (len(steps),))
    assert whole is not None
    scaled = torch.from_numpy(run.scaling.apply(steps[None]))
    return run.scaling.undo(whole.model.reconstruct(scaled).numpy())[0]


def test_series_of_a_table_go_on_to_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chunks, "MOST", 16)
    values = np.random.RandomState(0).randn(97, 2).round(3)
    owners = ["a"] * 50 + ["b"] * 5 + ["c"] * 42                       # the second is shorter than a window
    rows = [f"{owner},{one},{two}" for owner, (one, two) in zip(owners, values.tolist(), strict=True)]
    Path("new.csv").write_text("\n".join(["unit,x,y", *rows]))
    Path("old.csv").write_text("\n".join(["unit,x,y", *rows[:50], *rows[:50]]))
    spec = {"name": "forward", "data": {"type": "series", "path": "old.csv", "group": "unit", "window": {"length": 8, "stride": 4}},
            "encoder": [{"gru": 4}], "latent": {"type": "continuous", "dim": 2, "per": "position"}, "decoder": [{"lstm": 4}],
            "losses": {"reconstruction": "mse"}, "train": {"steps": 3}}
    run = aebuild.open_run(aebuild.train(spec, folder="run").run)
    code, _, told = called(("reconstruct", "run", "new.csv", "--fit", "stream", "-o", "again.csv"), monkeypatch, capsys)
    assert (code, "2 series, 92 steps, in chunks of 16" in told) == (0, True), told
    written = np.genfromtxt("again.csv", delimiter=",", skip_header=1)[:, -2:]
    for first, stop in ((0, 50), (55, 97)):
        assert np.allclose(written[first:stop], whole_of(run, values[first:stop]), atol=1e-4)
    assert np.isnan(written[50:55]).all()
    assert np.allclose(run.reconstruct(values, fit="stream"), whole_of(run, values), atol=1e-4)
    for words, status, why in [(("encode", "run", "new.csv", "--fit", "stream"), 2, "'stream' is not one of"),
                               (("reconstruct", "run", "new.csv", "--fit", "stream", "--overlap", 3), 2, "--overlap is about tiles")]:
        assert (code := called(words, monkeypatch, capsys))[0] == status and why in code[2]
