"""A run notices that its data or its spec are no longer what it was trained with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.data.fingerprint import fingerprint, unlike
from aebuild.lang.dataset import Where
from aebuild.results.experiment import train
from aebuild.results.picture import Picture
from aebuild.trainer.run_dir.run import Run

MODEL = "encoder: [linear: 6]\nlatent: {type: continuous, dim: 2}\ntrain: {epochs: 1, device: cpu, batch_size: 16}\n"


def rows(count: int = 60, columns: int = 3) -> list[list[str]]:
    values = np.random.default_rng(0).normal(size=(count, columns)).round(4)
    return [[f"c{number}" for number in range(columns)], *[[str(value) for value in row] for row in values]]


def write(path: Path, table: list[list[str]]) -> None:
    path.write_text("".join(",".join(row) + "\n" for row in table))


def run(*words: object) -> int:
    return guarded(lambda: commands.main(["train", *map(str, words)], standalone_mode=False))


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aebuild.results.experiment.draw_picture", lambda plan, model, splits, path: Picture(path, ()))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table, and beside it a run that was trained on it."""
    write(tmp_path / "x.csv", rows())
    (tmp_path / "spec.yaml").write_text(f"data: x.csv\n{MODEL}")
    train(tmp_path / "spec.yaml", folder=tmp_path / "run")
    return tmp_path / "x.csv"


def other_cell(path: Path) -> None:
    table = rows()
    table[7][1] = "0.5"
    write(path, table)


def more_rows(path: Path) -> None:
    write(path, [*rows(), ["1", "2", "3"]])


def other_name(path: Path) -> None:
    table = rows()
    table[0][1] = "other"
    write(path, table)


def more_columns(path: Path) -> None:
    write(path, [[*row, "d" if number == 0 else "1.5" if number % 2 else "2.5"] for number, row in enumerate(rows())])


@pytest.mark.parametrize(("change", "told"), [
    (other_cell, "contents of the"), (more_rows, "training samples 48 -> 49"), (other_name, "column added: other; column gone: c1")])
def test_changed_data_are_refused_and_taken_if_allowed(table: Path, change: Callable[[Path], None], told: str,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    folder = table.parent / "run"
    assert run("--resume", folder) == 0
    change(table)
    capsys.readouterr()
    assert run("--resume", folder) == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "AE514" in said
    assert told in said
    assert run("--resume", folder, "--allow") == 0
    assert told in (folder / "log.txt").read_text()
    assert run("--resume", folder) == 0                    # from now on these are its data


def test_data_that_the_weights_do_not_fit_are_refused_even_if_allowed(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more_columns(table)
    assert run("--resume", table.parent / "run", "--allow") == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "column added: d" in said
    assert "do not fit" in said


def test_the_same_data_at_another_place_are_no_change(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, best = table.parent / "run", None
    new = table.rename(table.with_name("moved table.csv"))
    assert run("--resume", folder) == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "AE515" in said
    assert f"--resume {folder} --set data.path=" in said
    assert run("--resume", folder, "--set", "train.device=cpu", "--epochs=2", "--set", "name=a b") == 4
    said = " ".join(capsys.readouterr().err.split())
    assert f"aebuild train --resume {folder} --set train.device=cpu --epochs=2 --set 'name=a b' --set data.path=" in said
    best = json.loads((folder / "evaluation.json").read_text())
    assert run("--resume", folder, "--set", f"data.path={new}") == 0
    assert json.loads((folder / "evaluation.json").read_text()) == best
    assert "so the last weights are kept" not in capsys.readouterr().err
    other_cell(new)
    other = new.rename(table.with_name("again.csv"))
    assert run("--resume", folder, "--set", f"data.path={other}") == 3


@pytest.mark.parametrize(("edit", "code", "told"), [
    (("dim: 2", "dim: 4"), 3, "AE511"), (("epochs: 1", "epochs: 2"), 3, "AE512"), (("name: autoencoder", "name: other"), 0, "name: ")])
def test_a_spec_edited_in_the_run_is_a_changed_spec(table: Path, edit: tuple[str, str], code: int, told: str,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    folder = table.parent / "run"
    spec = folder / "spec.yaml"
    text = spec.read_text()
    if "name:" not in text:
        text = f"name: autoencoder\n{text}" if edit[0].startswith("name") else text
    assert edit[0] in text, text
    spec.write_text(text.replace(*edit))
    assert run("--resume", folder) == code
    assert told in " ".join(capsys.readouterr().err.split())
    if "AE512" in told:
        assert run("--resume", folder, "--allow") == 0
        assert "epochs: 2" in spec.read_text()
        assert "epochs: 1" in (folder / "spec-1.yaml").read_text()
        assert run("--resume", folder) == 0


def test_a_run_of_an_earlier_version_says_what_it_cannot_know(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = table.parent / "run"
    (folder / "origin.json").unlink()
    assert run("--resume", folder) == 0
    assert "from now on it does" in capsys.readouterr().err
    assert Run.open(folder).fingerprint is not None


def test_data_on_disk_are_known_by_files_and_samples(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(12):
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(tmp_path / "images" / f"{number:02}.png")

    def found() -> dict[str, object]:
        plan = load(tmp_path / "s.yaml", text=f"data: {{path: images/, stream: true}}\n{MODEL}").require()
        return fingerprint(load_splits(plan.spec.data, Where(tmp_path)))

    before = found()
    assert unlike(before, found()) == []
    first = tmp_path / "images" / "00.png"
    os.utime(first, (1, 1))
    assert unlike(before, found()) == ["times of the files"]
    assert unlike(before, found(), moved=True) == []
    Image.fromarray(np.full((4, 4), 99, np.uint8)).save(first)
    assert any(told.startswith("contents of the") for told in unlike(before, found()))
    first.rename(first.with_name("aa.png"))
    assert "names of the files" in unlike(before, found())


def test_known_data_are_found_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aebuild.results.sameness import place_of

    monkeypatch.setenv("AEBUILD_DATA", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    with Run.create("x", spec="", plan={}, data={}, folder=tmp_path / "run", root=str(tmp_path / "store")) as made:
        assert place_of(made) is None                    # the environment says it
        monkeypatch.delenv("AEBUILD_DATA")
        assert place_of(made) == tmp_path / "store"
        (tmp_path / "store").rmdir()
        assert place_of(made) is None
