"""The length of a training that none is written for: in steps where data are few, and said before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aebuild.compile.duration import EPOCHS, STEPS, batches, said
from aebuild.compile.front import load
from aebuild.lang.diagnostics import SpecError
from aebuild.results.experiment import resume, train
from aebuild.results.revision import Request
from aebuild.results.summary import training_line
from aebuild.trainer.batches.sampler import batch_bounds
from aebuild.trainer.progress.display import Quiet
from aebuild.trainer.run_dir.run import Run

SPEC = "name: few\ndata: {type: digits, limit: %s}\nencoder: [linear: 8]\nlatent: {type: continuous, dim: 2}\ntrain: {device: cpu%s}\n"


class Notes(Quiet):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        """One thing more."""
        self.said.append(text)


def loaded(limit: int, more: str = "", *settings: str) -> Any:
    return load("few.yaml", settings, text=SPEC % (limit, more))


@pytest.mark.parametrize(("samples", "size"), [(n, size) for n in (1, 2, 3, 7, 8, 9, 10, 129) for size in (1, 2, 8, 128)])
def test_batches_are_those_of_the_trainer(samples: int, size: int) -> None:
    assert batches(samples, size) == len(batch_bounds(samples, size))


@pytest.mark.parametrize(("more", "epochs", "steps"), [
    ("", 1000, None), (", batch_size: 1", EPOCHS, None), (", epochs: 3", 3, None), (", steps: 9", None, 9),
    (", phases: [main: {epochs: 2}, main]", 2, None), (", phases: [greedy, main]", 1000, None)])
def test_a_length_is_in_steps_only_where_none_is_written(more: str, epochs: int | None, steps: int | None) -> None:
    plan = loaded(200, more).require()
    assert (plan.phases[0].epochs, plan.phases[0].steps) == (epochs, steps)
    assert len({phase.epochs for phase in plan.phases[1:]} - {1000}) == 0
    assert said(plan.spec, 200) == plan.spec or said(plan.spec, 200).train.epochs in (1000, EPOCHS)


def test_many_samples_are_not_lengthened() -> None:
    spec = loaded(200).require().spec
    assert said(spec, 128 * STEPS // EPOCHS).train.epochs == EPOCHS
    assert said(spec, 128 * STEPS).train.epochs == EPOCHS
    assert "1,000 epochs in batches of 128" in training_line(loaded(200).require()).plain


def test_the_length_is_said_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aebuild.compile.duration.STEPS", 50)
    shown = Notes()
    outcome = train(loaded(200), folder=tmp_path / "run", display=shown)
    assert outcome.result.steps == 50
    assert any(text.startswith("trains for 50 steps: main 25 epochs of 2 (no length is written") for text in shown.said)
    assert "epochs: 25" in Run.open(tmp_path / "run").spec
    assert resume(tmp_path / "run").result.steps == 50
    assert resume(tmp_path / "run", change=Request(loaded(200))).result.steps == 50       # the same spec is no change


def test_a_run_of_an_earlier_version_keeps_its_twenty_epochs(tmp_path: Path) -> None:
    train(loaded(200, ", epochs: 20"), folder=tmp_path / "run")
    path = tmp_path / "run" / "spec.yaml"
    (tmp_path / "run" / "origin.json").unlink(missing_ok=True)
    path.write_text(path.read_text().replace("epochs: 20, ", ""))
    assert "epochs" not in path.read_text()
    assert resume(tmp_path / "run").result.steps == 40
    with pytest.raises(SpecError, match=r"train\.epochs"):
        resume(tmp_path / "run", change=Request(loaded(200, ", epochs: 30")))
    assert resume(tmp_path / "run", change=Request(loaded(200))).result.steps == 40
