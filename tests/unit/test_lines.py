"""JSON lines: what docs/progress.md promises, for every line of real trainings."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_display import HEADING, STATUS
from tiny_training import adversaries, phase, tiny_model, tiny_plan, tiny_run, tiny_splits

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.lang.diagnostics import SpecError
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job
from aebuild.trainer.progress import throughput as throughput_module
from aebuild.trainer.progress.display import Ending, EpochReport
from aebuild.trainer.progress.json_lines import MOST, JsonLines

SPECS = Path(__file__).parents[2] / "specs"
DOCUMENT = Path(__file__).parents[2] / "docs" / "progress.md"
KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "integer": (int,), "boolean": (bool,), "object": (dict,),
                                      "array": (list,), "null": (type(None),)}
ENDING = Ending("best", 1, math.nan, 2, {"psnr": -math.inf}, "runs/x", "p.png", ("no samples",), {"training": 1.5}, "")


def documented() -> dict[str, dict[str, set[type]]]:
    """The fields of each event and their types, as the document has them."""
    chapter = DOCUMENT.read_text().split("## JSON lines")[1].split("\n## ")[0]
    found: dict[str, dict[str, set[type]]] = {}
    for part in chapter.split("\n### "):
        rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", part, re.MULTILINE)
        found[part.split("\n")[0] if found else ""] = {name: {kind for word in kinds.split(" or ") for kind in KINDS[word]}
                                                       for name, kinds in rows}
    head = found.pop("")
    found["epoch"] |= found["step"]
    return {event: head | own for event, own in found.items()}


FIELDS = documented()


def refuse(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


def checked(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each held to the document."""
    events = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    for event in events:
        fields = FIELDS[event["event"]]
        assert set(event) == set(fields)
        assert all(type(event[name]) in kinds for name, kinds in fields.items()), event
    return events


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's two ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def read(descriptor: int) -> str:
    return os.read(descriptor, 1 << 20).decode()


def command(*words: str) -> int:
    return guarded(lambda: commands.main(["train", *words], standalone_mode=False))


def test_every_line_of_a_training_is_as_documented(tmp_path: Path, capfd: pytest.CaptureFixture[str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput_module, "LOOK_EVERY", 0.0)
    assert command(str(SPECS / "vqvae.yaml"), "--set", "train.epochs=2", "--set", "data.limit=300", "--progress", "json",
                   "-o", str(tmp_path / "run")) == 0
    events = checked(capfd.readouterr().out)
    kinds = [event["event"] for event in events]
    assert {"start", "step", "epoch", "checkpoint", "note"} < set(kinds)
    assert (kinds.count("start"), kinds.count("epoch"), kinds.count("end"), kinds[-1]) == (1, 2, 1, "end")
    start, end = events[kinds.index("start")], events[-1]
    last = [event for event in events if event["event"] == "epoch"][-1]
    assert (last["total"], last["totals"], last["last"]) == (start["steps"], start["steps"], True)
    assert set(last["train"]["terms"]) == {"reconstruction", "commitment"}
    assert set(last["train"]["metrics"]) == {"perplexity", "usage"}
    assert {event["run"] for event in events[kinds.index("start"):]} == {str(tmp_path / "run")}
    assert end["scores"] == json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert end["seconds"] == pytest.approx(sum(end["seconds_by_part"].values()))
    assert {"loading data", "starting", "training", "validation", "saving", "display", "evaluation", "picture"} < set(end["seconds_by_part"])
    assert "in all: " in (tmp_path / "run" / "log.txt").read_text().splitlines()[-1]


@pytest.mark.parametrize(("data", "word", "exit_code", "rule"), [("digits", "train.epohcs=1", 3, "AE101"), ("x.csv", "train.seed=1", 4, "AE401")])
def test_an_error_is_the_last_line_and_on_stderr_too(data: str, word: str, exit_code: int, rule: str, tmp_path: Path,
                                                     capfd: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"data: {data}\nencoder: [linear: 4]\nlatent: {{type: continuous, dim: 2}}\n")
    assert command(str(spec), "--set", word, "--progress", "json") == exit_code
    out, err = capfd.readouterr()
    error = checked(out)[-1]
    assert (error["event"], error["exit_code"]) == ("error", exit_code)
    assert error["code"].startswith(rule)
    assert error["code"] in err


def test_quiet_and_a_form_contradict_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    assert command("x.yaml", "-q", "--progress", "json") == 2
    assert capfd.readouterr().out == ""


def test_what_json_lacks_is_null(pipe: tuple[int, int]) -> None:
    lines = JsonLines(pipe[1])
    lines.start(HEADING)
    lines.epoch(EpochReport(replace(STATUS, train={"loss": math.inf, "kl": math.nan}, left=math.inf), True, last=False))
    lines.note("a ☃\nin two lines")
    lines.end(ENDING)
    _, epoch, note, end = checked(read(pipe[0]))
    assert (epoch["train"], epoch["seconds_left"]) == ({"loss": None, "terms": {}, "metrics": {"kl": None}}, None)
    assert (note["text"], end["score"], end["scores"]) == ("a ☃\nin two lines", None, {"psnr": None})


class Leaving(JsonLines):
    """Its reader leaves after the first epoch."""

    def __init__(self, descriptor: int, reader: int) -> None:
        super().__init__(descriptor)
        self.reader: int | None = reader

    def epoch(self, report: EpochReport) -> None:
        if self.reader is not None:
            os.close(self.reader)
            self.reader = None
        super().epoch(report)


def test_a_reader_that_leaves_does_not_stop_the_training(pipe: tuple[int, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = tiny_plan(phase(*adversaries(), epochs=4))
    with tiny_run(tmp_path / "read") as run:
        expected = train(Job(plan, tiny_splits(), run), model=tiny_model())
    with tiny_run(tmp_path / "left") as run:
        found = train(Job(plan, tiny_splits(), run, display=Leaving(pipe[1], pipe[0])), model=tiny_model())
    assert all(torch.equal(a, b) for a, b in zip(found.model.state_dict().values(), expected.model.state_dict().values(), strict=True))
    assert run.checkpoints.load("step").checkpoint.state["progress"]["total"] == expected.steps
    told = capfd.readouterr().err.splitlines()
    assert told == ["aebuild: progress cannot be written any more (Broken pipe); the training goes on"]
    os.write(pipe[1], b"what is written later goes nowhere")


def test_a_slow_reader_gets_all_but_some_steps(pipe: tuple[int, int]) -> None:
    lines = JsonLines(pipe[1])
    lines.start(HEADING)
    for number in range(400):
        lines.update(STATUS)
        lines.epoch(EpochReport(replace(STATUS, epoch=number), False, last=False))
    text = ""
    while lines._waiting:
        text += read(pipe[0])
        lines.note("more")
    events = checked(text + read(pipe[0]))
    epochs = [event["epoch"] for event in events if event["event"] == "epoch"]
    assert epochs == list(range(400))
    assert 0 < sum(event["event"] == "step" for event in events) < 400


def test_a_reader_that_never_reads_is_given_up(pipe: tuple[int, int], capfd: pytest.CaptureFixture[str]) -> None:
    lines = JsonLines(pipe[1])
    lines.note("x" * (MOST + (1 << 20)))
    lines.note("this one is not kept")
    assert not lines._waiting
    assert "the reader is too slow" in capfd.readouterr().err


def test_a_failure_does_not_wait_for_ever(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aebuild.trainer.progress.json_lines.PATIENCE", 0.01)
    lines = JsonLines(pipe[1])
    lines.note("x" * (1 << 17))
    lines.fail(SpecError().diagnostics, 3)
    assert lines._waiting
