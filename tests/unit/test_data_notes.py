"""What is found out about data and should be read: the same at validate and at train."""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of
from stopping import StopAt

from aebuild.cli import main
from aebuild.lang.dataset import Where
from aebuild.lang.render import Note, render
from aebuild.lang.samples import DataInfo
from aebuild.lang.values import Grid, Range, Sequence, Value
from aebuild.results.experiment import train


def test_notes_are_lines_and_records() -> None:
    notes = [Note("a.yaml", "guessed \x1b[1m")]
    assert render([], notes=notes) == "note: guessed \\x1b[1m\n"
    assert json.loads(render([], "json", notes=notes))[0].items() >= {
        "severity": "note", "message": "guessed \x1b[1m", "file": "a.yaml", "path": "data", "code": None}.items()
    assert render([], notes=[*notes, Note("b.yaml", "left out")]).splitlines()[1] == "note: b.yaml: left out"


def test_notes_are_kept_in_a_run() -> None:
    value = Grid(1, (2, 2))
    info = DataInfo(value, value, Range(), Range(), "none", {"train": 1}, "made up", notes=("guessed",))
    kept = info.to_json()
    assert DataInfo.from_json(json.loads(json.dumps(kept))) == info
    assert DataInfo.from_json(json.loads(json.dumps(kept))).notes == info.notes
    del kept["notes"]
    assert DataInfo.from_json(kept).notes == ()


FLOATS, BYTES = "float32", "uint8"


@pytest.mark.parametrize(("shape", "dtype", "value", "key", "other"), [
    ((9, 16, 16, 13), FLOATS, Grid(13, (16, 16)), "channels: first", Grid(16, (16, 13))),
    ((9, 13, 16, 16), FLOATS, Grid(13, (16, 16)), "channels: last", Grid(16, (13, 16))),
    ((9, 64, 12, 12), FLOATS, Grid(64, (12, 12)), "channels: last", Grid(12, (64, 12))),
    ((9, 20, 30, 6), BYTES, Grid(6, (20, 30)), "channels: first", Grid(20, (30, 6))),
    ((9, 8, 9, 10, 5), FLOATS, Grid(5, (8, 9, 10)), "channels: first", Grid(8, (9, 10, 5))),
    ((9, 4, 1000), FLOATS, Sequence(1000, 4), "channels: last", Sequence(4, 1000)),
    ((9, 12, 30), FLOATS, Sequence(12, 30), "channels: first", Sequence(30, 12)),
    ((9, 28, 28), FLOATS, Grid(1, (28, 28)), "as: sequence", Sequence(28, 28)),
    ((9, 28, 28), "int64", Grid(1, (28, 28)), "as: sequence", Sequence(28, 28)),
    ((9, 48, 40), FLOATS, Sequence(48, 40), "as: grid", Grid(1, (48, 40))),
    ((9, 4, 1000), BYTES, Grid(1, (4, 1000)), "channels: first", Grid(4, (1000,))),
])
def test_a_guess_is_told_with_the_key_that_overrules_it(tmp_path: Path, shape: tuple[int, ...], dtype: str, value: Value, key: str,
                                                        other: Value) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype))
    told = load("arrays", tmp_path, path="a.npy").info.notes
    assert told == part_of("arrays", path="a.npy").probe(Where(tmp_path)).notes
    assert len(told) == 1
    assert f"a.npy {list(shape)} is read as {value}; " in told[0]
    assert f"`{key}` reads {other}" in told[0]
    name, word = key.split(": ")
    asked = load("arrays", tmp_path, path="a.npy", **{name: word})
    assert asked.info.value == other


@pytest.mark.parametrize(("shape", "dtype"), [((9, 5), FLOATS), ((9, 3, 16, 16), FLOATS), ((9, 16, 16, 1), BYTES), ((9, 28, 28), BYTES),
                                              ((9, 140, 2), FLOATS), ((9, 16, 16, 16), FLOATS)])
def test_what_is_plain_is_not_told(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype))
    assert load("arrays", tmp_path, path="a.npy").notes == ()


def test_formats_without_a_key_say_what_to_do(tmp_path: Path) -> None:
    shape = (9, 16, 16, 13)
    (tmp_path / "a-idx4-ubyte").write_bytes(struct.pack(">4B4I", 0, 0, 8, 4, *shape) + bytes(math.prod(shape)))
    told = load("idx", tmp_path, path="a-idx4-ubyte").info.notes
    assert "is read as grid(13; 16×16), not as grid(16; 16×13): save its axes" in told[0]


def test_validate_and_train_tell_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: object) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["aebuild", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        out, err = capsys.readouterr()
        return out, " ".join(err.split())

    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(40, 8, 8, 13)).astype("float32"))
    spec = tmp_path / "spec.yaml"
    spec.write_text("data: {path: a.npy}\nencoder: {layer: linear, width: 8}\nlatent: {type: continuous, dim: 2}\ntrain: {steps: 2, batch_size: 16}\n")
    note = "note: a.npy [40, 8, 8, 13] is read as grid(13; 8×8); `channels: first` reads grid(8; 8×13)"
    out, err = run("validate", spec)
    assert err == note
    assert "fine" in out
    assert run("validate", "-q", spec) == ("", "")
    assert [found["message"] for found in json.loads(run("validate", "--format", "json", spec)[0])] == [note.removeprefix("note: ")]
    heard = StopAt(-1)
    train(spec, ["train.speed=exact"], folder=tmp_path / "run", display=heard)
    assert note in heard.notes
