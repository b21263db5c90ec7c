"""`aebuild runs`: a table of runs, in which a broken one is a row."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from command_line import called
from rich.console import Console
from run_copies import a_run, edit

from aebuild.cli.runs import COLUMNS
from aebuild.results.run_facts import EvaluationRecord, RunFacts, ScoresRecord, run_facts
from aebuild.results.run_table import DROPPED, HEADS, SORTS, ordered, run_table, runs_in
from aebuild.trainer.run_dir.folder import Lock


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(words, monkeypatch, capsys)


def test_a_row_tells_what_the_files_of_the_run_tell(run, tmp_path):
    folder = a_run(tmp_path / "runs" / "one")
    (told,) = json.loads(run("runs", "--json")[1])
    plan, evaluation = (json.loads((folder / name).read_text()) for name in ("plan.json", "evaluation.json"))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert (told["state"], told["spec"], told["data"]) == ("finished", "small", "digits")
    assert (told["parameters"], told["code_bits"]) == (plan["parameters"], 4 * 32)
    assert told["score"] == min(line["score"] for line in lines if line["split"] == "validation")
    assert told["evaluation"]["model"]["terms"] == evaluation["model"]["terms"]
    assert (told["epochs"], told["steps"]) == (2, max(line["step"] for line in lines))
    out = run("runs")[1]
    assert "one" in out
    assert f"{plan['parameters']:,}" in out


def broken(folder, name):
    """Spoils a run in one of many ways."""
    if name == "not JSON":
        (folder / "plan.json").write_text("{")
    elif name == "another form":
        edit(folder / "evaluation.json", model=[])
    elif name == "a file gone":
        (folder / "data.json").unlink()
    elif name == "no weights":
        for number, place in enumerate(folder.glob("checkpoints/*/model.safetensors")):
            place.unlink() if number % 2 else place.write_bytes(b"")
    elif name == "a pipe":
        (folder / "metrics.jsonl").unlink()
        os.mkfifo(folder / "metrics.jsonl")
    elif name == "a folder":
        (folder / "metrics.jsonl").unlink()
        (folder / "metrics.jsonl").mkdir()
    elif name == "no text":
        (folder / "spec.yaml").write_bytes(b"\xff\xfe\xff")
    elif name == "deep":
        (folder / "plan.json").write_text("[" * 100_000)


@pytest.mark.parametrize("name", ["not JSON", "another form", "a file gone", "no weights", "a pipe", "a folder", "no text", "deep"])
def test_a_broken_run_is_a_row_with_the_reason_and_stops_no_other(name, run, tmp_path):
    a_run(tmp_path / "runs" / "fine")
    broken(a_run(tmp_path / "runs" / "spoilt"), name)
    code, out, err = run("runs", "--sort", "name")
    assert (code, err.count("\n")) in ((0, 0), (0, 1)), err              # on a narrow terminal, which columns there is no room for
    assert [facts.state for facts in runs_in(tmp_path / "runs")] == ["finished", "damaged"]
    assert "spoilt: damaged: " in out


@pytest.mark.parametrize(("ending", "evaluated", "state"), [
    ("finished", True, "finished"), ("finished", False, "died"), ("stopped: AE506: stopped by Ctrl-C", False, "stopped"),
    ("stopped: AE701: the loss is NaN", False, "diverged"), ("stopped: AE602: the disk is full", True, "failed"), ("", True, "died"),
    ("finished\n2026-01-02 03:04:06 training finished on digits, CPU", True, "died")])
def test_the_state_is_that_of_the_last_event_in_the_log(ending, evaluated, state, tmp_path):
    folder = a_run(tmp_path / "one")
    start = "2026-01-02 03:04:05 "
    (folder / "log.txt").write_text(f"{start}training small on digits, CPU\n" + (f"{start}{ending}\n{start}remark\n" if ending else ""))
    if not evaluated:
        (folder / "evaluation.json").unlink()
    found = run_facts(folder)
    assert found.state == state
    assert found.started == start.strip()
    assert bool(found.reason) == (state != "finished")


def test_a_run_that_is_being_written_is_running(tmp_path):
    folder = a_run(tmp_path / "one")
    (folder / "log.txt").write_text("2026-01-02 03:04:05 training small on digits, CPU\n")
    lock = Lock(folder / "lock")
    assert run_facts(folder).state == "running"
    lock.release()
    assert run_facts(folder).state == "died"


def test_the_choices_of_sort_are_its_columns_and_what_is_unknown_comes_last(tmp_path):
    assert tuple(SORTS) == COLUMNS
    first, second = a_run(tmp_path / "a"), a_run(tmp_path / "b")
    edit(first / "plan.json", parameters=5)
    edit(second / "plan.json", parameters=3)
    (a_run(tmp_path / "c") / "plan.json").write_text("")
    found = runs_in(tmp_path)
    assert [run.folder.name for run in ordered(found, "parameters")] == ["b", "a", "c"]
    assert [run.folder.name for run in ordered(found, "parameters", backwards=True)] == ["a", "b", "c"]
    for column in COLUMNS:
        assert len(ordered(found, column)) == 3


def test_figures_that_are_no_numbers_are_null_in_json(run, tmp_path):
    folder = a_run(tmp_path / "runs" / "one")
    text = json.loads((folder / "evaluation.json").read_text())
    text["model"]["terms"]["reconstruction"] = text["model"]["mse"] = float("nan")
    (folder / "evaluation.json").write_text(json.dumps(text))
    (told,) = json.loads(run("runs", "--json")[1], parse_constant=lambda word: pytest.fail(word))
    assert "mse" not in told["evaluation"]["model"] or told["evaluation"]["model"]["mse"] is None


def test_runs_are_found_in_folders_below_and_circles_are_not_followed(run, tmp_path):
    a_run(tmp_path / "runs" / "seeds" / "0")
    (tmp_path / "runs" / "seeds" / "loop").symlink_to(tmp_path / "runs")
    (tmp_path / "runs" / "notes").mkdir()
    assert [found.folder.name for found in runs_in(tmp_path / "runs")] == ["0"]
    assert [found.folder.name for found in runs_in(tmp_path / "runs" / "seeds" / "0")] == ["0"]
    assert run("runs", "runs/notes") == (0, "", "note: runs/notes holds no run\n")


def test_names_of_users_steer_no_terminal(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    folder = a_run(tmp_path / "runs" / "\x1b[31m[bold]x")
    edit(folder / "plan.json", name="[red]\x1b[2J")
    out = run("runs")[1]
    assert "\x1b" not in out
    assert "\\x1b[31m[bo" in out


NAMES = ("conv_vae_on_fashion_mnist-2026-11-26-1", "b", "stacked")


def facts(name):
    judged = EvaluationRecord(split="test", samples=10, code_values=2, code_bits=64, pca=ScoresRecord(mse=2.0),
                              model=ScoresRecord(terms={"reconstruction": 98.7654}, mse=1.0))
    return RunFacts(Path("runs") / name, "finished", spec="a_spec_with_a_long_name", data="fashion_mnist", parameters=1_234_567,
                    seconds=4000.0, score=123.456, evaluation=judged)


def lines_at(width, names=NAMES):
    table, dropped = run_table([facts(name) for name in names], Path("runs"), width)
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(table)
    return text.getvalue().rstrip("\n").split("\n"), dropped


def test_names_of_runs_are_whole_as_long_as_they_fit():
    for width in range(48, 160):
        lines, dropped = lines_at(width)
        assert max(map(len, lines)) <= width
        assert all(any(line.split()[:1] == [name] for line in lines) for name in NAMES), width
        heads = " ".join(lines[:1] if "error ÷ PCA's" in dropped else lines[:2])
        assert {*heads.split()} == {word for head in HEADS if head not in dropped for word in head.split()}


def test_columns_are_left_out_one_after_the_other_in_a_fixed_order():
    found = [set(lines_at(width)[1]) for width in range(40, 160)]
    assert all(later <= earlier for earlier, later in pairwise(found))
    assert all(dropped == set(DROPPED[:len(dropped)]) for dropped in found)
    assert found[-1] == set() and "data" in found[50]


def test_a_name_longer_than_the_line_is_wrapped():
    lines, dropped = lines_at(40, ["x" * 100])
    assert set(dropped) == set(DROPPED)
    assert "".join(line.split()[0] for line in lines[1:] if line.startswith("x")) == "x" * 100


def test_what_is_left_out_is_said(run, tmp_path, monkeypatch):
    a_run(tmp_path / "runs" / ("a_name_of_a_run_" * 4))
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = run("runs")
    assert code == 0 and "a_name_of_a_run_" * 4 in out and "finished" in out
    assert err.startswith("note: no room for spec, data, ") and err.endswith(": a wider terminal shows more, --json all\n")
    monkeypatch.setenv("COLUMNS", "140")
    assert run("runs")[2] == ""


def test_a_folder_that_is_not_there(run):
    code, out, err = run("runs", "elsewhere")
    assert (code, out) == (2, "")
    assert "AE550" in err
    assert "made by `aebuild train`" in run("runs")[2]


@pytest.mark.slow
def test_neither_runs_nor_compare_loads_torch(tmp_path):
    folders = [str(a_run(tmp_path / name)) for name in "ab"]
    program = ("import sys\nfrom aebuild.cli.guard import guarded\nfrom aebuild.cli.verbs import commands\n"
               "guarded(lambda: commands.main(sys.argv[1:], standalone_mode=False))\nprint('torch' in sys.modules, file=sys.stderr)\n")
    for words in (["runs", str(tmp_path)], ["compare", *folders]):
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (0, "False"), done.stderr
