"""Samples of any size: tiles give what the whole gives, sizes come back, and what cannot be is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from command_line import called
from PIL import Image

import aebuild
from aebuild.data.any_size import tiled
from aebuild.data.formats import sound
from aebuild.lang.diagnostics import AebuildError
from aebuild.results.inference import chunks
from aebuild.results.inference.blending import Joining
from aebuild.results.inference.other_size import period_of, reach_of
from aebuild.results.open_run import OpenRun

FOLDER = Path(mkdtemp(prefix="aebuild-sizes-"))
TRAIN = {"steps": 4, "batch_size": 32}
CONV: dict[str, Any] = {
    "encoder": [{"conv": {"width": 6, "stride": 2}}, {"residual": [{"conv": 6}]}, {"conv": {"width": 6, "stride": 2, "norm": "batch"}}],
    "latent": {"type": "continuous", "dim": 4, "per": "position"}, "decoder": {"layer": "conv", "width": [8, 8]}}
CAUSAL = {"encoder": {"layer": "conv", "width": [6, 6], "stride": 2, "causal": True}, "latent": CONV["latent"],
          "decoder": {"layer": "conv", "width": [8, 8], "causal": True}}
WAVES = FOLDER / "waves.npy"
np.save(WAVES, np.sin(np.random.RandomState(0).rand(60, 1, 1) * np.arange(64)).astype(np.float32))


@cache
def trained(kind: str) -> OpenRun:
    data: dict[str, Any] = {"path": str(WAVES), "as": "grid", "channels": "first", "scale": "none"} if kind in ("waves", "causal") else \
        {"type": "photos", "patch": 28, "count": 60}
    model = CAUSAL if kind == "causal" else CONV if kind != "dense" else {"encoder": {"layer": "conv", "width": [4], "stride": 4}, "latent": {"type": "continuous", "dim": 6}}
    spec = {"name": kind, "data": data, **model, "losses": {"reconstruction": "mse"}, "train": TRAIN}
    return aebuild.open_run(aebuild.train(spec, folder=FOLDER / kind).run)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (1, 3, height, width), np.uint8)


@pytest.mark.parametrize(("size", "tile", "overlap", "period"), [((50,), 16, 5, 1), ((50, 31), 16, 10, 4), ((9, 40, 17), 8, 3, 2)])
def test_pieces_of_a_sample_are_joined_to_the_sample(size, tile, overlap, period):
    whole = np.random.RandomState(1).rand(2, *size).astype(np.float32)
    rank = len(size)
    laid = tiled(0, size, (tile,) * rank, (overlap,) * rank, (period,) * rank)
    padded = np.pad(whole, [(0, 0), *((0, more - have) for have, more in zip(size, laid.padded, strict=True))], "reflect")
    pieces = np.stack([padded[(slice(None), *(slice(c, c + tile) for c in corner))] for corner in laid.corners])
    assert all(start % period == 0 for starts in laid.starts for start in starts)
    for reach in (None, ((1,) * rank, (2,) * rank)):
        joining = Joining((tile,) * rank, (1,) * rank, reach)
        assert np.allclose(next(joining.whole([laid], [pieces[:3], pieces[3:]])), whole, atol=1e-6)
        assert joining.seams.difference == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["photos", "waves", "causal"])
def test_tiles_give_what_the_whole_gives_where_they_overlap_by_what_is_looked_at(kind, monkeypatch):
    run = trained(kind)
    data = photo(61, 90) if kind == "photos" else np.random.RandomState(2).rand(1, 1, 331).astype(np.float32)
    assert set(period_of(run)) == {4}
    reach = reach_of(run)
    assert reach is not None and (set(reach[1]) == {0}) == (kind == "causal")
    needed = max(reach[0]) + max(reach[1])
    whole, scale = run.reconstruct(data, fit="pad"), 255 if kind == "photos" else 1
    assert whole.shape == data.shape
    for overlap in (None, needed + 1, needed + 5):
        assert np.allclose(run.reconstruct(data, fit="tile", overlap=overlap), whole, atol=2e-5 * scale)
    if kind == "causal":
        monkeypatch.setattr(chunks, "MOST", 50)         # 52 places, whole periods
        streamed = run.fit(data, "stream")
        assert "chunks of 52" in streamed.notes[0] and streamed.remark is None
        assert np.allclose(next(streamed.reconstructions()), whole, atol=2e-5)
        codes = run.encode(data, fit="stream")
        assert np.allclose(codes.values.T, run.encode(data, fit="pad").values[0], atol=2e-5)
        assert (codes.spans.first[-1], codes.spans.last[-1]) == (328, 330)
    found = run.fit(data, "tile", needed // 3)          # too little: interiors agree, and the seams are measured
    apart = np.abs(next(found.reconstructions()) * scale - whole)
    alone = tuple(slice(starts[1] - far) for starts, far in zip(found.groups[0][2][0].starts, reach[1], strict=True))
    assert apart.max() > 1e-4 * scale and apart[(slice(None), slice(None), *alone)].max() < 2e-5 * scale
    assert found.seams.difference > 1e-4 and "differ by" in found.remark and f"{needed + 1} would leave no seam" in found.notes[0]


def test_the_reach_is_that_of_the_arithmetic(tmp_path):
    spec = {"name": "plain", "data": {"type": "photos", "patch": 24, "count": 40}, "encoder": [{"conv": {"width": 4, "kernel": 5}}, {
        "conv": {"width": 4, "kernel": 3, "dilation": 2}}], "latent": {"type": "continuous", "dim": 3, "per": "position"},
        "decoder": [], "losses": {"reconstruction": "mse"}, "train": TRAIN}
    run = aebuild.open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    assert (period_of(run), reach_of(run)) == ((1, 1), ((4, 4), (4, 4)))          # 2 of the first, 2 of the second
    assert reach_of(trained("dense")) is None


def test_a_folder_of_photos_of_many_sizes_from_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sizes = {"a.png": (61, 90), "b.png": (20, 33), "c.png": (28, 28)}
    for seed, (name, size) in enumerate(sizes.items()):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(photo(*size, seed)[0].transpose(1, 2, 0)).save(tmp_path / "photos" / name)
    def shell(*words):
        return called(words, monkeypatch, capsys)

    folder = FOLDER / "dense"
    trained("dense"), trained("photos")
    code, _, told = shell("reconstruct", folder, "photos", "--fit", "tile", "--overlap", 8, "-o", "tiled")
    assert code == 0 and "depends on the whole tile" in told and "where tiles overlap they differ by" in told
    assert shell("reconstruct", FOLDER / "photos", "photos", "--fit", "pad", "-o", "whole")[0] == 0
    for out in ("tiled", "whole"):
        for name, size in sizes.items():
            with Image.open(tmp_path / out / name) as image:
                assert image.size[::-1] == size
    assert shell("encode", folder, "photos", "--fit", "tile", "-o", "codes.csv")[0] == 0
    rows = [line.split(",")[:3] for line in (tmp_path / "codes.csv").read_text().splitlines()]
    assert rows[0] == ["file", "top", "left"] and rows[-1] == ["c.png", "0", "0"] and ["a.png", "0", "20"] in rows
    assert shell("score", folder, "photos", "--fit", "tile")[0] == 0
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == len(rows)
    for words, code, what in [
            (("reconstruct", folder, "photos", "-o", "x"), 4, "--set data.size"),
            (("reconstruct", folder, "photos", "--fit", "pad", "-o", "x"), 4, "AE435"),
            (("reconstruct", folder, "photos", "--fit", "crop", "-o", "x"), 4, "too small to cut 28×28"),
            (("reconstruct", folder, "photos", "--fit", "tile", "-o", "x.npz"), 2, "AE436"),
            (("encode", FOLDER / "photos", "photos", "--fit", "pad", "-o", "x.npz"), 2, "AE436"),
            (("score", FOLDER / "photos", "photos", "--fit", "pad", "-o", "x.csv"), 2, "AE436"),
            (("encode", folder, "photos", "--fit", "tile", "--overlap", 28, "-o", "x.npz"), 2, "cannot overlap by 28"),
            (("encode", folder, "photos", "--overlap", 2), 2, "--fit tile")]:
        found = shell(*words)
        assert found[0] == code and what in found[2], (words, found)


def test_a_long_recording_is_read_stretch_by_stretch(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(30):
        soundfile.write(folder / f"{number:02}.wav", np.sin(np.arange(64) * (0.1 + number / 50)) / 2, 400)
    spec = {"name": "calls", "data": {"type": "audio", "path": str(folder)}, **CONV, "losses": {"reconstruction": "mse"}, "train": TRAIN}
    run = aebuild.open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    (tmp_path / "long").mkdir()
    soundfile.write(tmp_path / "long" / "hour.wav", np.random.RandomState(3).rand(5003) - 0.5, 400)
    whole = run.reconstruct(str(tmp_path / "long"), fit="pad")
    longest = []
    read = sound.read
    monkeypatch.setattr(sound, "read", lambda path, start, stop: (longest.append(stop - start), read(path, start, stop))[1])
    assert whole.shape == (1, 1, 5003)
    assert np.allclose(run.reconstruct(str(tmp_path / "long"), fit="tile"), whole, atol=1e-5)
    assert max(longest) == 64


def test_other_kinds_of_data_are_refused():
    with pytest.raises(AebuildError, match="and the model takes grid"):
        trained("dense").reconstruct(photo(40, 40)[:, :1], fit="tile")
