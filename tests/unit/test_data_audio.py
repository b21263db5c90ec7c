"""Recordings: read, brought to one rate and length, as waveforms and spectrograms, and written again."""

from __future__ import annotations

import io
import json
import sys
import wave
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from data_making import load, part_of, probe_refusal, refusal

from aebuild.compile.front import load as load_spec
from aebuild.data.assemble import load_splits
from aebuild.data.audio import Sounds, at_rate, resampled_length, stretch_at_rate
from aebuild.data.detect import detect
from aebuild.data.formats.sound import header, read
from aebuild.data.spectrogram import Spectrogram
from aebuild.lang.samples import Where
from aebuild.lang.values import Grid
from aebuild.results.drawing import outline

DRAW = np.random.default_rng(0)
RATE = 2000


def tone(hertz: float, seconds: float = 0.25, rate: int = RATE) -> Any:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind, hertz in (("high", 600), ("low", 150)):
        (tmp_path / "calls" / kind).mkdir(parents=True)
        for number in range(10):
            soundfile.write(tmp_path / "calls" / kind / f"{number}.wav", tone(hertz, 0.2 + number / 200), RATE)
    (tmp_path / "mixed").mkdir()
    soundfile.write(tmp_path / "mixed" / "a.wav", tone(150), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "mixed" / "b.flac", tone(150, rate=2 * RATE), 2 * RATE)
    soundfile.write(tmp_path / "mixed" / "c.ogg", np.stack([tone(150), -tone(150)], 1), RATE)
    (tmp_path / "broken").mkdir()
    for number in range(3):
        (tmp_path / "broken" / f"{number}.wav").write_bytes(b"RIFF????WAVEnonsense")
    return tmp_path


def test_recordings_are_cut_and_filled_with_silence(folder: Path) -> None:
    splits = load("audio", folder, path="calls", length=420, split={"validation": 4, "test": 4})
    order = np.random.RandomState(42).permutation(20)
    assert splits.info.value == Grid(1, (420,))
    assert (splits.info.range.low, splits.info.range.high) == (-1, 1)
    assert splits.class_names == ("high", "low")
    assert splits.train.labels is not None
    for row, found, label in zip(order[:12], splits.train.x, splits.train.labels, strict=True):
        kind, number = divmod(int(row), 10)
        wanted = tone((600, 150)[kind], 0.2 + number / 200)[:420]
        assert label == kind
        np.testing.assert_allclose(found[0, :len(wanted)], wanted, atol=1e-4)
        assert not found[0, len(wanted):].any()


def test_the_longest_recording_decides_and_seconds_are_counted(folder: Path) -> None:
    assert load("audio", folder, path="calls").info.value == Grid(1, (490,))
    assert load("audio", folder, path="calls", length=0.1).info.value == Grid(1, (200,))
    assert load("audio", folder, path="calls", length=0.1, rate=500).info.value == Grid(1, (50,))
    assert any("18 recordings longer than 0.2 s are cut" in note for note in load("audio", folder, path="calls", length=0.2).notes)


def test_rates_formats_and_channels_are_brought_together(folder: Path) -> None:
    part = part_of("audio", path="mixed")
    raw = part.read(Where(folder))
    first, second, third = raw.x["train"].take(np.arange(3))[:, 0]
    np.testing.assert_allclose(first, tone(150), atol=1e-6)
    np.testing.assert_allclose(second[20:-20], tone(150)[20:-20], atol=2e-3)
    assert np.abs(third).max() < 0.05                               # a lossy format; both channels cancel each other
    assert any("1 recording of another rate than 2,000" in note for note in raw.outline.notes)
    assert any("up to 2 channels" in note for note in raw.outline.notes)
    assert raw.beside is not None
    assert raw.beside("train") == {"file": ["a.wav", "b.flac", "c.ogg"]}


def test_a_wave_file_is_what_the_standard_library_reads(folder: Path) -> None:
    file = folder / "calls" / "low" / "3.wav"
    found, rate = read(file)
    with wave.open(str(file)) as other:
        wanted = np.frombuffer(other.readframes(other.getnframes()), "<i2") / 32768
        assert (rate, header(file).frames) == (other.getframerate(), other.getnframes())
    np.testing.assert_allclose(found, wanted, atol=1e-7)


def test_resampling_keeps_a_tone() -> None:
    np.testing.assert_allclose(at_rate(tone(100), RATE, 3000)[50:-50], tone(100, rate=3000)[50:-50], atol=2e-3)


def test_mel_bands_share_each_frequency() -> None:
    """Between the first and the last middle two neighbouring triangles add up to 1, and each is 1 at its own middle."""
    made = Spectrogram(8000, 4000, 512, 128, 20)
    heard = np.fft.rfftfreq(512, 1 / 8000)
    inside = (heard >= made.corners[1]) & (heard <= made.corners[-2])
    np.testing.assert_allclose(made.bands.sum(0)[inside], 1)
    mels = 2595 * np.log10(1 + made.corners / 700)
    np.testing.assert_allclose(np.diff(mels), np.diff(mels)[0])
    assert made.corners[[0, -1]] == pytest.approx([0, 4000])
    assert Spectrogram(8000, 4000, 128, 32, 64).deaf > 0


def test_the_power_of_a_tone_is_known() -> None:
    """A tone of amplitude A in the middle of its band has |A/2|² at its frequency, and two neighbours of a quarter of that."""
    made = Spectrogram(8192, 4096, 512, 128, 12)
    hertz = 1024.0                                                   # the 64th frequency of the window
    found = made.of(tone(hertz, 0.5, 8192)[None])[0, :, made.frames // 2]
    weights = made.bands[:, 63:66][::-1]
    near = weights.sum(1) > 0.5
    np.testing.assert_allclose(found[near], 10 * np.log10(0.04 * (weights[near] @ [0.25, 1, 0.25])), atol=0.05)
    assert made.of(tone(hertz, 0.5, 8192)[None]).shape == (1, 12, made.frames)
    assert made.of(np.zeros((1, 4096)))[0].max() == pytest.approx(-100)


def test_sound_comes_back_from_a_spectrogram() -> None:
    made = Spectrogram(8000, 4000, 256, 64, 40)
    waves = np.stack([tone(440, 0.5, 8000) * np.linspace(0, 1, 4000), tone(1500, 0.5, 8000)])
    shown = made.of(waves)
    heard = made.back(shown)
    assert heard.shape == waves.shape
    loud = shown > -40
    assert np.abs(made.of(heard) - shown)[loud].mean() < 6
    for wanted, found in zip(waves, heard, strict=True):
        assert abs(int(np.abs(np.fft.rfft(found)).argmax()) - int(np.abs(np.fft.rfft(wanted)).argmax())) <= 15
    assert (made.back(shown) == heard).all()


def test_spectrograms_are_samples(folder: Path) -> None:
    fields = {"path": "calls", "as": "spectrogram", "mels": 10, "length": 400, "window": 128}
    splits = load("audio", folder, **fields)
    assert splits.info.value == Grid(1, (10, 14))
    assert abs(float(splits.train.x.mean())) < 1e-4
    assert splits.info.found == {"rate": RATE, "length": 400, "kind": "spectrogram", "window": 128, "hop": 32, "mels": 10}
    part = part_of("audio", **fields)
    form = part.form(splits.info)
    assert isinstance(form, Sounds)
    form.write(folder / "out", [splits.scaling.undo(splits.train.x[:2])], {"file": ["a/x.flac", "../b.wav"]})
    found, rate = read(folder / "out" / "a" / "x.wav")
    assert (rate, found.shape) == (RATE, (400,))
    assert (folder / "out" / "b.wav").exists()


def test_new_recordings_are_heard_as_those_of_the_run(folder: Path) -> None:
    info = load_splits(part_of("audio", path="calls"), Where(folder)).info
    raw = part_of("audio", path="calls").fixed(info).but(path="mixed").read(Where(folder))
    assert raw.outline.value == info.value
    assert raw.x["train"].take(np.asarray([1])).shape == (1, 1, 490)


def test_waveforms_are_written_as_they_were(folder: Path) -> None:
    part = part_of("audio", path="calls")
    splits = load("audio", folder, path="calls")
    form = part.form(splits.info)
    form.write(folder / "out", [splits.scaling.undo(splits.test.x)], {})
    for number, sample in enumerate(splits.test.x):
        np.testing.assert_allclose(read(folder / "out" / f"{number:06d}.wav")[0], sample[0], atol=1e-4)


def test_what_is_on_disk_is_read_when_it_is_wanted(folder: Path) -> None:
    kept, streamed = (load("audio", folder, path="calls", stream=stream, split={"validation": 4, "test": 4}) for stream in (False, True))
    assert streamed.streamed
    assert np.sort(kept.train.x.sum((1, 2))) == pytest.approx(np.sort(streamed.train.x.sum((1, 2))), abs=1e-5)


@pytest.mark.parametrize(("fields", "code", "fix"), [
    ({"path": "calls", "mels": 8}, "AE455", None), ({"path": "calls", "as": "spectrogram", "window": 64, "mels": 60}, "AE455", None),
    ({"path": "calls", "as": "spectrogram", "window": 64, "hop": 40, "mels": 4}, "AE455", "hop: 32"),
    ({"path": "calls", "as": "spectrogram", "window": 1024, "mels": 4}, "AE455", "window: 256"), ({"path": "broken"}, "AE403", None),
    ({"path": "none"}, "AE401", None), ({"path": "."}, "AE402", None)])
def test_what_cannot_be_heard_is_refused(folder: Path, fields: dict[str, Any], code: str, fix: str | None) -> None:
    found = probe_refusal("audio", folder, **fields)
    assert found.code == refusal("audio", folder, **fields).code == code
    assert fix is None or found.fix == fix


def test_the_bands_that_fit_are_told(folder: Path) -> None:
    found = refusal("audio", folder, path="calls", window=64, mels=60, **{"as": "spectrogram"})
    assert found.fix is not None
    mels = int(found.fix.removeprefix("mels: "))
    assert Spectrogram(RATE, 490, 64, 16, mels).deaf == 0
    assert mels == 33 or Spectrogram(RATE, 490, 64, 16, mels + 1).deaf


def test_a_folder_of_recordings_is_audio(folder: Path) -> None:
    assert detect("calls", folder) == detect("mixed/", folder) == "audio"
    loaded = load_spec(folder / "spec.yaml", text="name: x\ndata: {path: calls/low/3.wav}\nencoder: [linear: 4]\n"
                       "latent: {type: continuous, dim: 2}\n")
    assert [(found.code, found.fix) for found in loaded.diagnostics] == [("AE402", "path: calls/low/")]


def test_a_missing_package_is_one_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    found = refusal("audio", folder, path="calls")
    assert (found.code, found.fix) == ("AE415", 'pip install "aebuild[audio]"')
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    (folder / "a.txt").write_text("some words " * 50)
    found = refusal("text", folder, path="a.txt", length=4, unit="tokens", vocabulary=40)
    assert (found.code, found.fix) == ("AE415", 'pip install "aebuild[text]"')


def test_a_curve_of_many_points_keeps_its_extremes() -> None:
    curve = DRAW.normal(size=5000).astype(np.float32)
    found = outline(curve, 300)
    assert len(found) == 300
    assert (found.min(), found.max()) == (curve.min(), curve.max())
    assert outline(curve, 5000) is curve


def test_real_recordings(real_data: Path, tmp_path: Path) -> None:
    """Some of the spoken digits of FSDD, whose header figures are published beside them."""
    rows = (real_data / "fsdd" / "metadata.csv").read_text().splitlines()[1:]
    counts = {row.split(",")[0]: int(row.split(",")[5]) for row in rows if row.split(",")[3] == "0"}
    with zipfile.ZipFile(real_data / "fsdd" / "recordings.zip") as archive:
        for name in archive.namelist():
            if Path(name).name in counts:
                (tmp_path / "digits" / Path(name).name[0]).mkdir(parents=True, exist_ok=True)
                (tmp_path / "digits" / Path(name).name[0] / Path(name).name).write_bytes(io.BytesIO(archive.read(name)).getvalue())
    splits = load("audio", tmp_path, path="digits", **{"as": "spectrogram", "mels": 32})
    made = Spectrogram(**{name: value for name, value in splits.info.found.items() if name != "kind"})
    assert (made.rate, made.length, made.window) == (8000, max(counts.values()), 256)
    assert splits.info.classes == 10
    assert splits.info.value == Grid(1, (32, made.frames))
    assert json.dumps(splits.info.to_json())
    assert np.isfinite(splits.train.x).all()


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16000), (44100, 16000), (2000, 1999)])
def test_a_stretch_at_another_rate_is_that_of_the_whole(tmp_path: Path, rate: int, wanted: int) -> None:
    place, frames = tmp_path / "long.wav", 9000
    soundfile.write(place, DRAW.uniform(-0.5, 0.5, frames).astype(np.float32), rate, subtype="FLOAT")
    whole, length = at_rate(*read(place), wanted), resampled_length(frames, rate, wanted)
    for start, stop in ((0, 1), (0, 900), (997, 1998), (length - 40, length)):
        np.testing.assert_array_equal(stretch_at_rate(place, rate, wanted, frames, start, stop), whole[start:stop])
