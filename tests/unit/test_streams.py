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
from aebuild.data.any_size import Pieces, chained, originals
from aebuild.data.axes import Layout
from aebuild.data.raw_samples import Stored
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.samples import ConditionInfo
from aebuild.lang.values import Grid, Range, Value
from aebuild.results.inference import chunks
from aebuild.results.inference.chunks import Carried, chunk_size, in_chunks
from aebuild.results.inference.other_size import at_size, outputs, reach_of, strides_of
from aebuild.results.trained_run import TrainedRun

WAVES = Grid(2, (12,))
POSITION = ", per: position"


def run_of(encoder: str, decoder: str, value: Value = SERIES, latent: str = POSITION, **more: Any) -> TrainedRun:
    made = plan_of(encoder, decoder, value=value, latent=latent, **more)
    info = DataInfo(value, value, Range(), Range(), "standard", {"train": 100}, "made up", conditions=more.get("conditions", ()))
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
    ("[upsample: 2, conv: {width: 4, kernel: 3, causal: true}]", "[pool: 2, transformer: 4]", POSITION, "codes: its code"),
])
def test_what_looks_on_is_refused_with_the_reason(encoder: str, decoder: str, latent: str, why: str) -> None:
    run = run_of(encoder, decoder, Grid(2, (12,)) if "kernel" in encoder or "squeeze" in decoder else SERIES, latent)
    codes, why = why.startswith("codes: "), why.removeprefix("codes: ")
    with pytest.raises(AebuildError, match="AE860") as refused:
        in_chunks(run, 12, codes=codes)
    assert why in str(refused.value)
    if not codes and refused.value.diagnostics[0].message.partition("chunks: ")[2].startswith("decoder"):
        assert in_chunks(run, 12, codes=True).plan.input.places == (12,)          # the encoder goes forward
        run.model.latent.follows = True                                           # and asks the decoder
        with pytest.raises(AebuildError, match="decoder"):
            in_chunks(run, 12, codes=True)


def test_what_a_model_is_told_of_samples_is_made_up_where_it_is_tried() -> None:
    run = run_of("[conv: {width: 4, kernel: 3, causal: true}]", "[conv: {width: 4, kernel: 3, causal: true}]", WAVES,
                 extra="condition: {speed: film}", conditions=(ConditionInfo("speed", "number"),))
    assert in_chunks(run, 24).plan.conditions == 1
    assert reach_of(run) == ((4,), (0,))


def whole_of(run: TrainedRun, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the model makes of raw values [T, D] in one go, in the data's units, and the indices of their codes [T/2, 1]."""
    scaled = torch.from_numpy(np.pad(run.scaling.apply(steps[None]), [(0, 0), (0, len(steps) % 2), (0, 0)]))
    whole = at_size(run, (scaled.shape[1],))
    assert whole is not None
    code = whole.model.code_of(whole.model.features(scaled, {}), scaled, {})
    return run.scaling.undo(whole.model.reconstruct(scaled).numpy())[0, :len(steps)], code.indices.numpy().T


def test_the_last_chunk_is_filled_up_as_the_whole_would_be() -> None:
    whole = np.arange(13.0)[None, None]
    pieces = Pieces(originals(Stored(whole, Layout(Grid(1, (13,))), "made up"), (13,)), [chained(0, (13,), (4,))], (4,))
    assert np.array_equal(pieces.take(np.arange(4)).ravel(), np.pad(whole[0, 0], (0, 3), "reflect"))
    assert pieces.chunks.lengths.tolist() == [4, 4, 4, 1]


def test_series_of_a_table_go_on_to_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chunks, "MOST", 16)
    values = np.random.RandomState(0).randn(97, 2).round(3)
    owners = ["a"] * 50 + ["b"] * 5 + ["c"] * 42                       # the second is shorter than a window
    rows = [f"{owner},{one},{two}" for owner, (one, two) in zip(owners, values.tolist(), strict=True)]
    Path("new.csv").write_text("\n".join(["unit,x,y", *rows]))
    Path("old.csv").write_text("\n".join(["unit,x,y", *rows[:50], *rows[:50]]))
    spec = {"name": "forward", "data": {"type": "series", "path": "old.csv", "group": "unit", "window": {"length": 8, "stride": 4}},
            "encoder": [{"conv": {"width": 4, "kernel": 3, "stride": 2, "causal": True}}, {"gru": 4}],
            "latent": {"type": "codebook", "codes": 9, "dim": 3}, "decoder": [{"conv": {"width": 4, "kernel": 4, "causal": True}}, {"lstm": 4}],
            "losses": {"reconstruction": "mse"}, "train": {"steps": 3}}
    run = aebuild.open_run(aebuild.train(spec, folder="run").run)
    code, _, told = called(("reconstruct", "run", "new.csv", "--fit", "stream", "-o", "again.csv"), monkeypatch, capsys)
    assert (code, "2 series, 92 steps, in chunks of 16" in told) == (0, True), told
    written = np.genfromtxt("again.csv", delimiter=",", skip_header=1)[:, -2:]
    wholes = {first: whole_of(run, values[first:stop]) for first, stop in ((0, 50), (55, 97))}
    for first, (back, _) in wholes.items():
        assert np.allclose(written[first:first + len(back)], back, atol=1e-4)
    assert np.isnan(written[50:55]).all()
    back, indices = whole_of(run, values)
    assert np.allclose(run.reconstruct(values, fit="stream"), back, atol=1e-4)
    codes = run.encode(values, fit="stream")
    assert codes.spans is not None
    assert np.array_equal(codes, indices) and len(np.unique(indices)) > 2 and codes.values.shape == (49, 3)
    assert [held[-2:].tolist() for held in (codes.spans.samples, codes.spans.first, codes.spans.last)] == [[0, 0], [94, 96], [95, 96]]
    with pytest.raises(AebuildError, match="cut into windows already"):
        run.encode(run.own_split("train"), fit="stream")
    assert called(("encode", "run", "new.csv", "--fit", "stream", "-o", "codes.csv"), monkeypatch, capsys)[0] == 0
    lines = [line.split(",") for line in Path("codes.csv").read_text().splitlines()]
    assert lines[0] == ["unit", "first_row", "last_row", "index_0"]
    assert lines[1:] == [[owners[row], str(row), str(row + 1), str(index)] for first, (_, held) in wholes.items()
                         for row, (index,) in zip(range(first, 97, 2), held.tolist(), strict=False)]
    for words, status, why in [(("score", "run", "new.csv", "--fit", "stream"), 2, "--fit stream has no scores"),
                               (("encode", "run", "new.csv", "--fit", "stream", "--draw", 2), 2, "would depend on its chunks"),
                               (("encode", "run", "new.csv", "--fit", "stream", "--bits"), 2, "--bits takes samples"),
                               (("reconstruct", "run", "new.csv", "--fit", "stream", "--overlap", 3), 2, "--overlap is about tiles")]:
        assert (code := called(words, monkeypatch, capsys))[0] == status and why in code[2]


def test_codes_want_an_encoder_that_goes_forward_and_no_more(tmp_path: Path) -> None:
    values = np.random.RandomState(0).randn(97, 1).cumsum(0).round(3)
    (tmp_path / "x.csv").write_text("\n".join(["x", *map(str, values[:, 0].tolist())]))
    spec = {"data": {"type": "series", "path": str(tmp_path / "x.csv"), "window": {"length": 8, "stride": 4}}, "encoder": [{"gru": 3}],
            "latent": {"type": "continuous", "dim": 2, "per": "position"}, "decoder": [{"conv": {"width": 3, "kernel": 3}}],
            "train": {"steps": 2}}
    run = aebuild.open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    assert run.encode(values, fit="stream").values.shape == (97, 2)
    with pytest.raises(AebuildError, match="later places"):
        run.reconstruct(values, fit="stream")
