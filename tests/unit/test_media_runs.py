"""Runs on texts and recordings: new files and texts from Python and from a shell, written in the data's own form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from command_line import called
from PIL import Image

import aebuild
from aebuild.lang.diagnostics import DataError
from aebuild.results.inference.new_data import new_samples

pytestmark = pytest.mark.slow
TRAIN = {"steps": 4, "batch_size": 16, "device": "cpu", "speed": "exact"}
LINES = [f"{who} {what}" for who in ("anna", "bob", "carol") for what in ("sees a fox", "ran", "sang all day", "fell", "slept")] * 3


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "lines.txt").write_text("\n".join(LINES))
    aebuild.train({"name": "x", "data": {"path": str(folder / "lines.txt"), "samples": "lines"}, "encoder": [{"gru": 8}],
                   "latent": {"type": "continuous", "dim": 3}, "losses": {"reconstruction": "categorical"}, "train": TRAIN}, folder=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    (folder / "calls").mkdir()
    for number in range(30):
        soundfile.write(folder / "calls" / f"{number:02d}.wav", 0.3 * np.sin(np.arange(400 + number) / (2 + number)), 2000)
    aebuild.train({"name": "x", "data": {"path": str(folder / "calls"), "as": "spectrogram", "mels": 8, "window": 200}, "encoder": [{"conv": {"width": 4, "stride": 2}}],
                   "latent": {"type": "continuous", "dim": 3}, "train": TRAIN}, folder=folder / "run")
    return folder / "run"


def test_texts_from_python_and_from_a_file_have_one_code(texts: Path, tmp_path: Path) -> None:
    run = aebuild.open_run(texts)
    new = ["bob sang all day", "anna ran"]
    (tmp_path / "new.txt").write_text("\n".join(new))
    (tmp_path / "new.csv").write_text("number,line\n1,bob sang all day\n2,anna ran\n")
    codes = [run.encode(given).values for given in (new, tmp_path / "new.txt", tmp_path / "new.csv")]
    np.testing.assert_allclose(codes[0], codes[1], atol=1e-6)
    np.testing.assert_allclose(codes[0], codes[2], atol=1e-6)
    symbols = run.info.found["symbols"]
    for text, code in zip(new, codes[0], strict=True):
        alone = torch.tensor([[2 + symbols.index(letter) for letter in text] + [0]])
        np.testing.assert_allclose(run.model.encode(alone).value[0].numpy(), code, atol=1e-5)
    with pytest.raises(DataError, match="not in the vocabulary"):
        new_samples(run, ["Zoë"], ["data.unknown=error"])


def test_lines_are_read_by_a_run_on_a_column(tmp_path: Path) -> None:
    (tmp_path / "said.csv").write_text("who,said\n" + "".join(f"me,{line}\n" for line in LINES))
    aebuild.train({"name": "x", "data": {"path": str(tmp_path / "said.csv"), "column": "said", "unit": "tokens", "vocabulary": 30, "length": 16},
                   "encoder": [{"gru": 4}], "latent": {"type": "gaussian", "dim": 2}, "losses": {"reconstruction": "categorical"},
                   "train": TRAIN}, folder=tmp_path / "run")
    (tmp_path / "new.txt").write_text("anna ran\nbob fell\n")
    run = aebuild.open_run(tmp_path / "run")
    np.testing.assert_allclose(run.encode(tmp_path / "new.txt").values, run.encode(["anna ran", "bob fell"]).values, atol=1e-6)
    assert run.info.found["vocabulary"] == 30


def test_texts_are_written_as_texts(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.jsonl").write_text('{"id": 7, "text": "anna fell"}\n{"id": 9, "text": "bob ran"}\n')
    assert called(("encode", str(texts), "new.jsonl", "-o", "codes.csv"), monkeypatch, capsys)[0] == 0
    assert [row.split(",")[0] for row in (tmp_path / "codes.csv").read_text().splitlines()] == ["id", "7", "9"]
    for words in (("reconstruct", str(texts), "new.jsonl", "-o", "back.txt"), ("decode", str(texts), "codes.csv", "-o", "again.txt"),
                  ("sample", str(texts), "-n", "3", "-o", "drawn.txt"), ("score", str(texts), "new.jsonl", "-o", "scores.csv")):
        assert called(words, monkeypatch, capsys)[0] == 0
    for back, again in zip(*((tmp_path / name).read_text().splitlines() for name in ("back.txt", "again.txt")), strict=True):
        assert again.startswith(back)              # a reconstruction ends where its text does, which no code says
    assert len((tmp_path / "drawn.txt").read_text().splitlines()) == 3
    told = (texts / "picture.txt").read_text()
    assert "originals" in told
    assert any(f"  {line}\n" in told for line in LINES)


def test_recordings_are_written_as_recordings(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    for name, rate in (("a.flac", 2000), ("b.wav", 4000)):
        soundfile.write(tmp_path / "new" / name, 0.3 * np.sin(np.arange(500) / 3), rate)
    assert called(("encode", str(sounds), "new", "-o", "codes.csv"), monkeypatch, capsys)[0] == 0
    assert [row.split(",")[0] for row in (tmp_path / "codes.csv").read_text().splitlines()] == ["file", "a.flac", "b.wav"]
    assert called(("reconstruct", str(sounds), "new", "-o", "back"), monkeypatch, capsys)[0] == 0
    assert sorted(file.name for file in (tmp_path / "back").iterdir()) == ["a.wav", "b.wav"]
    heard, rate = soundfile.read(tmp_path / "back" / "b.wav")
    assert (rate, len(heard)) == (2000, 429)
    assert called(("sample", str(sounds), "-n", "2", "-o", "drawn"), monkeypatch, capsys)[0] == 0
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_an_option_that_another_kind_of_data_means_otherwise_is_not_taken_over(sounds: Path, tmp_path: Path) -> None:
    """`window` of a spectrogram and of a series, `channels` of images and of arrays."""
    (tmp_path / "new.csv").write_text("a,b\n" + "1,2\n" * 30)
    with pytest.raises(DataError, match="the model takes"):
        aebuild.open_run(sounds).encode(tmp_path / "new.csv")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{number:02d}.png")
    aebuild.train({"name": "x", "data": {"path": str(tmp_path / "pictures"), "channels": "gray"}, "encoder": [{"linear": 4}],
                   "latent": {"type": "continuous", "dim": 2}, "train": TRAIN}, folder=tmp_path / "run")
    np.save(tmp_path / "pixels.npy", pixels)
    codes = [aebuild.open_run(tmp_path / "run").encode(tmp_path / place).values for place in ("pictures", "pixels.npy")]
    np.testing.assert_allclose(*codes, atol=1e-6)
