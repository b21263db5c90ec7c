"""Short forms of settings, spelling of options, and streams that are closed, full or unread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import called

from aebuild.cli.retries import words
from aebuild.cli.train import command as train
from aebuild.compile.front import load
from aebuild.compile.short_options import SHORT

GOOD = "data: digits\nencoder: {layer: linear, width: 32}\nlatent: {type: continuous, dim: 8}\n"
VALUES = {"--epochs": "3", "--batch-size": "7", "--lr": "0.25", "--seed": "9", "--device": "cpu", "--name": "x", "--data": "wine"}
AEBUILD = f"{sys.executable} -m aebuild"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *words: called(words, monkeypatch, capsys)


@pytest.mark.parametrize("flag", SHORT)
def test_a_short_form_is_its_setting(flag, run, spec):
    short = run("show", spec, flag, VALUES[flag])
    assert short == run("show", spec, "--set", f"{SHORT[flag].path}={VALUES[flag]}")
    assert short != run("show", spec)


@pytest.mark.parametrize("flag", SHORT)
def test_a_finding_points_to_the_flag(flag, run, spec):
    code, _, err = run("validate", spec, f"{flag}=[no/pe]")
    assert code == 3
    assert f"  {flag}:1:" in err


def test_settings_and_short_forms_hold_in_the_order_given(run, spec):
    assert "epochs: 7" in run("show", spec, "--epochs", 3, "--set", "train.epochs=5", "--epochs=7")[1]
    assert "epochs: 5" in run("show", spec, "--epochs", 3, "--epochs=7", "--set", "train.epochs=5")[1]


def test_epochs_replace_steps(run, spec):
    spec.write_text(GOOD + "train: {steps: 20}\n")
    out = run("show", spec, "--epochs", 3)[1]
    assert "epochs: 3" in out
    assert "steps: 20" not in out
    assert "AE317" in run("show", spec, "--set", "train.epochs=3")[2]


def test_data_of_the_current_folder_are_found(tmp_path, run, spec, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.csv").write_text("p,q\n" + "".join(f"{i},{i * i % 7}\n" for i in range(40)))
    monkeypatch.chdir(tmp_path / "here")
    code, out, _ = run("validate", spec, "--data", "./a.csv")
    assert (code, "vector(2)" in out) == (0, True)


def test_a_supervised_training_gets_the_short_forms_too(spec):
    with train.make_context("train", [str(spec), "--epochs", "3", "--set", "name=x"]) as ctx:
        found = words(ctx, without=())
    assert found[3:] == ["train", str(spec), "--set", "--epochs=3", "--set", "name=x"]
    assert load(spec, ["--epochs=3"]).spec.train.epochs == 3


@pytest.mark.parametrize(("wrong", "right"), [
    ("--epoch", "--epochs"), ("--batch_size", "--batch-size"), ("--learning-rate", "--lr"), ("--gpu", "--device cuda"),
    ("--patience", "--set train.patience=…"), ("--dataset", "--data"), ("--ouput", "--output"),
])
def test_an_option_that_does_not_exist_proposes_the_right_one(wrong, right, run, spec):
    code, _, err = run("train", spec, wrong, "3")
    assert code == 2
    assert f"Did you mean {right}?" in err


@pytest.mark.slow
@pytest.mark.parametrize(("line", "code"), [
    ("schema >&-", 2), ("validate {spec} >&-", 2), ("validate {spec} <&-", 0), ("validate {spec} 2>&-", 0), ("validate nowhere 2>&-", 2),
    ("schema >/dev/full", 6), ("validate {spec} >/dev/full", 6), ("validate nowhere 2>/dev/full", 2), ("schema | true", 0),
    ("explain conv | head -1", 0), ("validate --format json {spec} | true", 0), ("--help | true", 0),
])
def test_streams_that_are_closed_full_or_unread(line, code, spec):
    command = f"{AEBUILD} {line.format(spec=spec)} ; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug of ours" not in done.stderr
    assert (done.stderr == "") == (code == 0 or "2>" in line)


@pytest.mark.parametrize("words", [("validate", "\x1b[31m"), ("show", "a\u202eb.yaml"), ("summary", "\x9b31m"), ("train", "x\x1b.yaml"),
                                   ("validate", "a\0b"), ("explain", "\x1b"), ("\x1b[31m",), ("train", "--\x1b[31m"),
                                   ("train", "x.yaml", "-o", "a\0b"), ("train", "x.yaml", "--progress", "\x1b[1m"),
                                   ("train", "x.yaml", "--devices", "\x1b[1m"), ("schema", "\x1b[31m")])
def test_what_the_command_line_says_is_shown_escaped(words, run):
    code, out, err = run(*words)
    assert code == 2
    assert "bug of ours" not in err
    assert all(char.isprintable() for char in (out + err).replace("\n", ""))
