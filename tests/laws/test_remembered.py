"""A plan that was measured is remembered for the same model on the same machine, and checked before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from models import fine
from test_execution import CPU, IMAGES
from test_plans import tuner_of

from aebuild.trainer.speed import autotune as autotune_module
from aebuild.trainer.speed.autotune import Bench
from aebuild.trainer.speed.choice import Choice, place_of, recall, remember
from aebuild.trainer.speed.execution import exact

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def chosen(text: str, monkeypatch: pytest.MonkeyPatch, tried: list[str], *, halted: bool = False) -> Choice:
    """What is chosen where every step takes a second, and half of that with channels last."""
    def candidates(*_: object) -> Any:
        tried.append("measured")
        return iter([("last", {"memory": "channels_last"})])

    monkeypatch.setattr(autotune_module, "candidates", candidates)
    monkeypatch.setattr(Bench, "seconds", lambda bench, steps: 0.5 if bench.execution.memory == "channels_last" else 1.0)
    tuner = tuner_of(fine(text))
    tuner.halted = lambda: halted
    return tuner.choose()


LONG = IMAGES.replace("epochs: 2", "epochs: 1000")


def test_the_same_model_is_not_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    first, again = chosen(LONG, monkeypatch, tried), chosen(LONG.replace("1000", "700"), monkeypatch, tried)
    assert tried == ["measured"]
    assert first.execution == again.execution == exact(CPU).but(memory="channels_last")
    assert "measured before" in str(again)
    other = chosen(LONG.replace("dim: 4", "dim: 5"), monkeypatch, tried)
    assert len(tried) == 2, "another model is measured"
    assert other.execution == first.execution


def test_a_plan_that_no_longer_agrees_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    chosen(LONG, monkeypatch, tried)
    plain = Bench.gradients

    def wrong(bench: Bench) -> Any:
        losses, gradients = plain(bench)
        return losses, [-each for each in gradients] if bench.execution.memory == "channels_last" else gradients

    monkeypatch.setattr(Bench, "gradients", wrong)
    assert chosen(LONG, monkeypatch, tried).execution == exact(CPU)
    assert len(tried) == 2


def test_an_unfinished_measurement_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    assert chosen(LONG, monkeypatch, tried, halted=True).execution == exact(CPU)
    assert chosen(LONG, monkeypatch, tried).execution != exact(CPU)
    assert len(tried) == 2


def test_a_training_without_time_for_a_trial_takes_no_step_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    assert chosen(IMAGES, monkeypatch, tried).reason == "the training is too short to measure"
    assert tried == []


@pytest.mark.parametrize("damage", [b"", b"[" * 100_000, b"{}", b'{"execution": {"threads": -1}}'])
def test_a_damaged_file_is_as_none(damage: bytes) -> None:
    tuner = tuner_of(fine(LONG))
    place = place_of(tuner.plan, tuner.phase, CPU, 1, tuner.asked)
    remember(place, Choice(exact(CPU), "measured", tuner.asked).to_json())
    assert recall(place) == exact(CPU)
    place.write_bytes(damage)
    assert recall(place) is None


def test_a_folder_that_cannot_be_written_costs_a_measurement(tmp_path: Path) -> None:
    (tmp_path / "aebuild").write_text("a file")
    remember(tmp_path / "aebuild" / "plans" / "x.json", {})
    assert recall(tmp_path / "aebuild" / "plans" / "x.json") is None
