"""`aebuild eject`: what is written where, what is said on the way, and the file as a program."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import called
from safetensors.torch import load_file
from trained_runs import opened, run_folder

from aebuild.compile.front import load
from aebuild.lang.diagnostics import SpecError
from aebuild.lang.training import LrSchedule
from aebuild.modules.randomness import random_modules
from aebuild.results.ejection.eject import eject
from aebuild.results.ejection.layout import listed, quoted, tupled, word

SPEC = """\
name: small
data: {type: arrays, path: x.npy, shape: [6]}
encoder: [linear: 4]
latent: {type: continuous, dim: 2}
train: {batch_size: 20, epochs: 3, optimizer: {lr: 0.01, schedule: {type: step, step_size: 1}}}
"""
SAMPLES = np.random.RandomState(0).standard_normal((50, 6))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Calls the command line in a folder with a spec."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    return lambda *words: called(words, monkeypatch, capsys)


@pytest.fixture
def program(run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the ejected file as a program: what it prints."""
    assert run("eject", "small.yaml", "-o", "model.py")[0] == 0

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["model.py", *words])
        monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        runpy.run_path("model.py", run_name="__main__")
        return capsys.readouterr().out

    return call


def test_a_run_brings_its_weights(run: Any, tmp_path: Path) -> None:
    code, _, err = run("eject", run_folder("image"), "-o", "model.py")
    assert code == 0 and "not in the file" not in err
    space = runpy.run_path("model.py")
    model = space["Autoencoder"]()
    model.load_state_dict(load_file(tmp_path / "model.safetensors"))
    x = torch.rand(3, 1, 8, 8)
    expected = opened("image").model
    space["reseed"](space["random_modules"](model), 1, 1)
    space["reseed"](random_modules(expected), 1, 1)
    with torch.no_grad():
        assert torch.equal(model.eval()(x), expected(x))


def test_without_a_file_it_goes_to_stdout_and_nothing_is_written_over(run: Any) -> None:
    code, out, _ = run("eject", "small.yaml")
    assert code == 0 and "class Autoencoder(nn.Module):" in out
    assert run("eject", "small.yaml", "-o", "model.txt")[0] == 2
    assert run("eject", "small.yaml", "-o", "model.py")[0] == 0
    Path("model.py").write_text("mine")
    code, _, err = run("eject", "small.yaml", "-o", "model.py")
    assert code != 0 and "model.py" in err and Path("model.py").read_text() == "mine"
    assert run("eject", "small.yaml", "-o", "model.py", "--force")[0] == 0
    assert Path("model.py").read_text() == out


def test_what_cannot_be_in_the_file_is_said_on_stderr_in_its_head_and_at_its_place(run: Any) -> None:
    Path("small.yaml").write_text(SPEC.replace("shape: [6]", "shape: [6], stream: true").replace("epochs: 3", "epochs: 3, phases: [main: {start: runs/a}]"))
    code, out, err = run("eject", "small.yaml")
    assert code == 0
    head, body = out.split("from __future__")
    for told in ("the weights of the run runs/a, with which the phase main begins", "reading samples from disk batch by batch"):
        assert f"note: not in the file: {told}" in err and f"Not in this file: {told}" in head
    assert "    # aebuild begins this phase with the weights of the run runs/a," in body.split("def train_main(")[1].split("bounds =")[0]
    assert "    # aebuild leaves these samples on disk" in body.split("def read(")[1]


@pytest.mark.parametrize("place", ['a"""b', "a\\", "a\nraise SystemExit(9)", "a\\N{DASH}"])
def test_a_name_of_a_run_ends_no_string_and_no_comment(place: str, run: Any) -> None:
    phases = json.dumps([{"main": {"start": place}}])
    Path("small.yaml").write_text(SPEC.replace("epochs: 3", f"epochs: 3, phases: {phases}"))
    assert run("eject", "small.yaml", "-o", "model.py")[0] == 0
    assert "train_main" in runpy.run_path("model.py")


def test_the_file_trains_on_arrays_and_writes_weights(program: Any, tmp_path: Path) -> None:
    np.save("x.npy", SAMPLES)
    np.savez("held.npz", x=SAMPLES[:9], labels=np.zeros(9, np.int32))
    printed = program("x.npy", "held.npz")
    assert printed.count("main: epoch ") == 3 and printed.count(", validation ") == 3
    assert load_file(tmp_path / "model.safetensors")["encoder.0.linear.weight"].shape == (4, 6)
    assert program("x.npy").startswith("no validation samples: the last weights are kept, not the best\n")


def test_the_program_says_what_it_takes(program: Any) -> None:
    np.savez("other.npz", y=SAMPLES)
    for words, told in (((), "SAMPLES"), (("other.npz",), r"has the arrays \['y'\]; x must be there")):
        with pytest.raises(SystemExit, match=told):
            program(*words)


def test_a_training_that_diverges_ends(program: Any) -> None:
    np.save("x.npy", np.full((50, 6), np.nan))
    with pytest.raises(FloatingPointError, match="main diverged in epoch 1"):
        program("x.npy")


def test_a_schedule_that_is_made_in_a_way_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load("small.yaml", text=SPEC).require()
    monkeypatch.setattr(LrSchedule.variants["step"], "build_schedule", lambda *_: None)
    with pytest.raises(SpecError, match="the learning-rate schedule step is made in a way of its own"):
        eject(plan)


def test_phases_of_pairs_share_a_function_where_they_differ_by_what_they_train_only() -> None:
    several = "encoder: [linear: 5, linear: 4, linear: 3]"
    text = SPEC.replace("encoder: [linear: 4]", several).replace("epochs: 3", "epochs: 3, phases: [greedy, greedy: {epochs: 1}, main, main]")
    source = eject(load("small.yaml", text=text).require()).source
    assert [source.count(f"def {name}(") for name in ("train_pairs", "train_pairs_1", "train_main", "train_main_10")] == [1, 1, 1, 1]
    assert source.count("= train_pairs(") == source.count("= train_pairs_1(") == 4


def test_lists_are_broken_where_they_are_too_long() -> None:
    assert listed("  ", "f(", ["a", "b"], ")") == ["  f(a, b)"]
    long = ["x" * 60, "y" * 60]
    assert listed("  ", "f(model, ", long, ")") == ["  f(model,", f"      {long[0]},", f"      {long[1]},", "  )"]
    assert (word("greedy.0"), tupled(["a"]), tupled(["a", "b"])) == ("greedy_0", '("a",)', '("a", "b")')
    assert [eval(quoted(text)) for text in ('a"b', "a\\b", "a")] == ['a"b', "a\\b", "a"]
