"""The main job end to end, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

import aebuild
from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.lang.diagnostics import ResourceError
from aebuild.results.experiment import resume, train
from aebuild.results.open_run import open_run

pytestmark = pytest.mark.slow

SPECS = Path(__file__).parents[2] / "specs"
QUICK = ["train.epochs=2", "data.limit=200"]


def run(*words: str) -> int:
    return guarded(lambda: commands.main(list(words), standalone_mode=False))


def test_the_main_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("train", str(SPECS / "vqvae.yaml"), "--set", "train.epochs=2") == 0
    shown = capsys.readouterr()
    assert "perplexity" in shown.err
    assert "MSE per element" in shown.out
    assert "PCA" in shown.out
    (folder,) = (tmp_path / "runs").iterdir()
    assert str(folder.relative_to(tmp_path)) in shown.out
    with Image.open(folder / "picture.png") as picture:
        assert picture.width > 400
    scores = json.loads((folder / "evaluation.json").read_text())
    assert scores["model"]["terms"]["reconstruction"] < scores["mean"]["terms"]["reconstruction"]


def test_the_plan_of_a_run_is_taken_and_that_of_none_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    spec = [str(SPECS / "vqvae.yaml"), *(word for setting in QUICK for word in ("--set", setting))]
    assert run("train", *spec, "-o", "one", "-q") == 0
    assert run("train", *spec, "-o", "two", "-q", "--plan", "one") == 0
    told = [json.loads((tmp_path / name / "execution.json").read_text()) for name in ("one", "two")]
    assert told[0]["execution"] == told[1]["execution"]
    assert told[1]["reason"] == "as given"
    capsys.readouterr()
    assert run("train", *spec, "-o", "three", "--plan", str(tmp_path)) == 5
    assert "AE508" in capsys.readouterr().err
    assert not (tmp_path / "three").exists()


def test_a_run_is_opened_from_its_directory_alone(tmp_path: Path) -> None:
    outcome = train(SPECS / "vqvae.yaml", QUICK, folder=tmp_path / "run")
    opened = open_run(tmp_path / "run")
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(opened.model(x), outcome.result.model.eval()(x))
    again = resume(tmp_path / "run")
    assert torch.equal(again.result.model.eval()(x), opened.model(x))


def test_own_data_by_a_relative_path_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x.npy", np.random.default_rng(0).normal(size=(60, 5)).astype("float32"))
    (tmp_path / "spec.yaml").write_text("data: data/x.npy\nencoder: [linear: 8]\nlatent: {type: continuous, dim: 2}\ntrain: {epochs: 1}\n")
    train(tmp_path / "spec.yaml", folder=tmp_path / "run")
    monkeypatch.chdir("/")
    assert resume(tmp_path / "run").evaluation.samples == 6


def test_the_public_names() -> None:
    for name in ("load", "plan", "build", "train", "open_run"):
        assert getattr(aebuild, name).__name__ == name
    with pytest.raises(AttributeError):
        aebuild.nothing  # noqa: B018


@pytest.mark.parametrize(("words", "code", "part"), [
    (["train"], 2, "Give a spec"), (["train", "a.yaml", "--allow"], 2, "--allow belongs to"),
    (["train", "--resume", "nowhere"], 5, "is not a run directory"), (["train", "nowhere.yaml"], 2, "nowhere.yaml"),
    (["train", "--resume", "nowhere", "--set", "a=1"], 5, "is not a run directory"),
    (["train", "--resume", "nowhere", "-o", "x"], 2, "no --output")])
def test_a_command_that_cannot_be_followed(words: list[str], code: int, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == code
    assert part in " ".join(capsys.readouterr().err.split())


def test_a_run_that_is_there_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    train(SPECS / "vqvae.yaml", ["train.epochs=1", *QUICK[1:]], folder=tmp_path / "run")
    monkeypatch.setattr("aebuild.parts.datasets.digits.Digits.read", lambda *_: pytest.fail("the data were read first"))
    assert run("train", str(SPECS / "vqvae.yaml"), "-o", str(tmp_path / "run")) == 2
    assert "AE501" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    words = ["--set", "train.epochs=8", "--set", "data.limit=400", "--set", "train.keep=last", "--set", "train.device=cpu"]
    command = [sys.executable, "-m", "aebuild", "train", str(SPECS / "vqvae.yaml"), "-o", str(tmp_path / "run"), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SPECS.parent)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        journal = tmp_path / "run" / "metrics.jsonl"
        began = time.monotonic()
        while not (journal.exists() and journal.stat().st_size) and process.poll() is None and time.monotonic() - began < 120:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert len(journal.read_text().splitlines()) < 2 * 8
    torch.set_num_threads(1)
    finished = resume(tmp_path / "run")
    whole = train(SPECS / "vqvae.yaml", [word for word in words if word != "--set"], folder=tmp_path / "whole")
    ours, theirs = finished.result.model.state_dict(), whole.result.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)



SLOW = """
import sys, time
from aebuild.modules.autoencoder import Autoencoder
from aebuild.results import experiment
place, mark = sys.argv.pop(1), sys.argv.pop(1)

def wait(*given, **named):
    open(mark, "w").close()
    time.sleep(60)

plain = Autoencoder.run_losses
def run_losses(self, *given):
    if not self.training:
        open(mark, "w").close()
        time.sleep(0.2)
    return plain(self, *given)

if place == "validation":
    Autoencoder.run_losses = run_losses
elif place == "data":
    experiment._tell = wait
else:
    setattr(experiment, {"evaluation": "evaluate", "picture": "draw_picture"}[place], wait)
from aebuild.cli import main
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("place", "said"), [("data", "stopped by SIGTERM while the data were read; nothing was to be saved"),
                                             ("validation", "stopped by SIGTERM in phase main, epoch 1, step"),
                                             ("evaluation", "stopped by SIGTERM in the evaluation; everything is saved"),
                                             ("picture", "stopped by SIGTERM in the evaluation; everything is saved")])
def test_a_signal_is_heeded_wherever_it_comes(tmp_path: Path, place: str, said: str) -> None:
    """Within five seconds, where nothing else would end for a minute; with the command to go on where there is something."""
    mark = tmp_path / "there"
    command = [sys.executable, "-c", SLOW, place, str(mark), "train", str(SPECS / "vqvae.yaml"), "-o", str(tmp_path / "run"),
               "--set", "train.epochs=1", "--set", "data.limit=200", "--set", "train.device=cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SPECS.parent)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        began = time.monotonic()
        while not mark.exists() and process.poll() is None and time.monotonic() - began < 200:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=30)      # generous: the machine may be busy
    assert process.returncode == 143, told
    assert said in " ".join(told.split())
    assert ("aebuild train --resume" in told) == (place != "data")


@pytest.mark.parametrize("given", [[], ["-o", "there"], ["-o", "deep/run", "--retries", "1"]])
def test_a_start_that_failed_leaves_nothing(given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(SPECS.parent))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "there").mkdir()
    assert run("train", str(SPECS / "vqvae.yaml"), "--set", "train.device=cuda", *given) == 6
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize(("place", "stays"), [("aebuild.trainer.fit.choose_execution", False), ("aebuild.results.experiment.evaluate", True)])
def test_what_fails_before_the_first_batch_leaves_nothing_and_after_it_the_run(place: str, stays: bool, tmp_path: Path,
                                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(place, fail)
    with pytest.raises((MemoryError, ResourceError)):
        train(SPECS / "vqvae.yaml", QUICK, folder=tmp_path / "run")
    assert (tmp_path / "run").exists() is stays
