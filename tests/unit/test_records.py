"""A run directory that is not what it should be: exit 5 or the checkpoint before, never a crash, a hang or silence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.compile.front import load
from aebuild.lang.diagnostics import AebuildError
from aebuild.results.experiment import train
from aebuild.results.open_run import open_run
from aebuild.results.picture import Picture
from aebuild.trainer.checkpoints.checkpoint import read_folder, seal_folder, write_tensors
from aebuild.trainer.checkpoints.reader import IN_PIECES, Damaged
from aebuild.trainer.job import Manner
from aebuild.trainer.run_dir.run import Run

SPEC = """
name: little
data: {type: digits, limit: 60}
encoder: [linear: 6]
latent: {type: continuous, dim: 2}
train: {batch_size: 20, epochs: 2, device: cpu, optimizer: {type: adam, schedule: cosine}}
"""
EMPTY = ("[]", "{}", "[" * 200_000, "\x00", '{"info": {"value": 3}}')


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aebuild.results.experiment.draw_picture", lambda plan, model, splits, path: Picture(path, ()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records") / "run"
    train(load("little.yaml", text=SPEC), folder=folder, manner=Manner(save_every=3))
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def resumed(folder: Path) -> int:
    return guarded(lambda: commands.main(["train", "-q", "--resume", str(folder)], standalone_mode=False))


def opened(folder: Path) -> int:
    try:
        open_run(folder)
    except AebuildError as error:
        return error.exit_code
    return 0


def steps(folder: Path) -> list[Path]:
    """Its checkpoints, the newest first."""
    return [folder / "checkpoints" / entry.folder for entry in Run.open(folder).checkpoints.entries("step")]


def reseal(checkpoint: Path, name: str, data: bytes) -> None:
    """Writes a file of a checkpoint and its hash, as somebody who wants to be believed."""
    (checkpoint / name).write_bytes(data)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("text", EMPTY)
def test_json_that_is_none_or_another(copy: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, readers in (("data.json", (resumed, opened)), ("origin.json", (resumed,)), ("environment.json", (resumed,)),
                          ("execution.json", (resumed,))):
        if name == "environment.json" and text in ("{}", '{"info": {"value": 3}}'):
            continue                                     # a mapping, which has less to compare
        kept = (copy / name).read_bytes()
        (copy / name).write_text(text)
        for reader in readers:
            assert reader(copy) == 5, (name, reader)
        (copy / name).write_bytes(kept)
    with (copy / "metrics.jsonl").open("a") as stream:
        stream.write(text + "\n")
    with pytest.raises(AebuildError) if text not in ("{}", '{"info": {"value": 3}}') else capsys.disabled():
        Run.open(copy).journal.read()
    for name in ("manifest.json", "state.json"):
        newest = steps(copy)[0]
        (newest / name).write_text(text) if name == "manifest.json" else reseal(newest, name, text.encode())
        capsys.readouterr()
        assert resumed(copy) == 0
        assert f"{newest.name} is damaged" in (copy / "log.txt").read_text()


def changed(keys: str, value: Any) -> Callable[[Any], None]:
    def change(state: Any) -> None:
        *path, last = keys.split("/")
        for key in path:
            state = state[int(key) if isinstance(state, list) else key]
        state[int(last) if isinstance(state, list) else last] = value

    return change


def whole(place: str) -> dict[str, Any]:
    return {"~tensor": place}


@pytest.mark.parametrize("change", [
    changed("progress/step", -5), changed("progress/total", "6"), changed("progress/total", 5), changed("progress/best", []),
    changed("progress/seconds", {"~float": "nan"}), changed("progress/tick", 2**70), changed("clock", [1, 0, 1]), changed("clock", 3),
    changed("journal", -1), changed("maths", None), changed("sums", {}), changed("validation", [1]), changed("active", [1]),
    changed("active/autoencoder/optimizer", whole("none of ours")), changed("active/autoencoder/rate/factor", "fast"),
    changed("progress", {"~tuple": 3}), changed("progress", {"~pairs": [[1]]})])
def test_a_state_that_cannot_be_is_passed_over(copy: Path, change: Callable[[Any], None]) -> None:
    newest = steps(copy)[0]
    state = json.loads((newest / "state.json").read_text())
    change(state)
    reseal(newest, "state.json", json.dumps(state).encode())
    assert resumed(copy) == 0
    assert f"{newest.name} is damaged" in (copy / "log.txt").read_text()


@pytest.mark.parametrize("change", [
    changed("progress/phase", 99), changed("progress/more", 1), changed("active", {}), changed("active/autoencoder/optimizer/param_groups/0/lr", "x"),
    changed("active/autoencoder/optimizer/param_groups/0/params", [0]), changed("active/autoencoder/rate/schedule/last_epoch", "x"),
    changed("active/autoencoder/rate/schedule/step", 5), changed("sums", [{"names": ["a"], "sums": 3, "samples": 1}])])
def test_a_state_that_does_not_fit_is_refused(copy: Path, change: Callable[[Any], None]) -> None:
    newest = steps(copy)[0]
    state = json.loads((newest / "state.json").read_text())
    change(state)
    reseal(newest, "state.json", json.dumps(state).encode())
    lines = (copy / "metrics.jsonl").read_bytes()
    assert resumed(copy) == 5
    assert (copy / "metrics.jsonl").read_bytes() == lines


def test_data_of_another_type_than_it_was_trained_on_are_refused(copy: Path) -> None:
    told = json.loads((copy / "data.json").read_text())
    told["info"]["value"] = told["info"]["target"] = {"kind": "vector", "shape": [2**40]}
    (copy / "data.json").write_text(json.dumps(told))
    assert (resumed(copy), opened(copy)) == (5, 5)


def test_a_checkpoint_under_another_name_is_passed_over(copy: Path) -> None:
    checkpoints = copy / "checkpoints"
    best = next(path for path in checkpoints.iterdir() if path.name.startswith("best"))
    shutil.copytree(best, checkpoints / "step-75")
    shutil.copytree(steps(copy)[1], checkpoints / "step-80")
    (checkpoints / "step-٩٩").mkdir()
    assert resumed(copy) == 0
    said = (copy / "log.txt").read_text()
    assert "step-75 is damaged" in said
    assert "step-80 is damaged" in said


def test_files_among_the_checkpoints_do_no_harm(copy: Path) -> None:
    """Also where a checkpoint is to be written."""
    checkpoints = copy / "checkpoints"
    shutil.rmtree(steps(copy)[0])
    for name in ("step-60", "step-6", "best-61", ".old-step-6"):
        (checkpoints / name).write_text("not a folder")
    assert resumed(copy) == 0
    assert (checkpoints / "step-6").is_dir()
    shutil.rmtree(checkpoints)
    checkpoints.write_text("not a folder")
    assert (resumed(copy), opened(copy)) == (5, 5)


@pytest.mark.parametrize("name", ["spec.yaml", "plan.json", "data.json", "origin.json", "environment.json", "execution.json", "log.txt",
                                  "metrics.jsonl", "lock", ".new-spec.yaml", "evaluation.json"])
def test_a_pipe_or_device_is_refused_at_once(copy: Path, name: str) -> None:
    (copy / name).unlink(missing_ok=True)
    os.mkfifo(copy / name)
    assert resumed(copy) == 5
    if name in ("spec.yaml", "data.json"):
        assert opened(copy) == 5
    (copy / name).unlink()
    (copy / name).symlink_to("/dev/zero")
    assert resumed(copy) == 5


@pytest.mark.parametrize("name", ["model.safetensors", "trainer.safetensors", "state.json", "manifest.json"])
def test_a_pipe_device_or_endless_file_in_a_checkpoint_is_damage(copy: Path, name: str) -> None:
    newest = steps(copy)[0]
    (newest / name).unlink()
    os.mkfifo(newest / name)
    assert resumed(copy) == 0
    newest = steps(copy)[0]
    (newest / name).unlink()
    (newest / name).symlink_to("/dev/zero")
    assert resumed(copy) == 0
    newest = steps(copy)[0]
    os.truncate(newest / name, 2**40)
    assert resumed(copy) == 0


@pytest.mark.parametrize("layout", [
    {"pieces": 10**18, "model": {"a": {"shape": [2]}}},
    {"pieces": 1, "model": {"b": {"shape": [2]}}}, {"pieces": 1, "model": {"a": {"shape": "x"}}}, {"pieces": 0}, [], {"model": {}}])
def test_a_layout_that_cannot_be_is_damage(layout: Any, tmp_path: Path) -> None:
    (tmp_path / "step-1").mkdir()
    name = "model-00001-of-00001.safetensors"
    seals = {name: write_tensors(tmp_path / "step-1" / name, {"a": torch.zeros(2)})}
    seal_folder(tmp_path / "step-1", {"layout.json": layout, "state.json": {}}, seals, IN_PIECES)
    with pytest.raises(Damaged):
        read_folder(tmp_path / "step-1")


def test_who_holds_a_lock_may_be_told_in_any_words(copy: Path) -> None:
    with Run.open(copy, write=True):
        (copy / "lock").write_text("[" * 200_000)
        assert resumed(copy) == 8


def test_a_plan_is_not_taken_from_a_pipe(copy: Path) -> None:
    (copy / "execution.json").unlink()
    os.mkfifo(copy / "execution.json")
    words = ["train", "-q", "--plan", str(copy), "-o", str(copy.parent / "other"), str(copy / "spec.yaml")]
    assert guarded(lambda: commands.main(words, standalone_mode=False)) == 5


