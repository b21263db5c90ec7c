"""Metrics for other tools: what they read is what the run's own journal says."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import called

from aebuild.compile.front import load
from aebuild.results.experiment import train
from aebuild.trainer.progress import trackers
from aebuild.trainer.progress.display import Ending, Heading, Quiet

SPEC = """\
name: tracked
data: {type: digits, limit: 90}
encoder: [linear: 8]
latent: {type: gaussian, dim: 2}
losses: {reconstruction: bernoulli}
train: {epochs: 2, batch_size: 32, speed: exact}
"""


def trained(folder: Path, *names: str) -> tuple[Path, list[dict[str, Any]], dict[str, Any]]:
    """A run that was tracked, its journal and its evaluation."""
    display = trackers.Tracked(Quiet(), names)
    run = train(load("spec.yaml", text=SPEC), folder=folder, display=display).run
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return run, records, json.loads((run / "evaluation.json").read_text())


def wanted(records: list[dict[str, Any]], split: str, name: str) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"] if name == "loss" else record["terms"][name]) for record in records if record["split"] == split]


def test_tensorboard_reads_what_the_journal_says(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run, records, evaluation = trained(tmp_path / "run", "tensorboard")
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    for split in ("train", "validation"):
        for name in ("loss", "kl"):
            found = [(event.step, event.value) for event in events.Scalars(f"{split}/{name}")]
            assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in wanted(records, split, name)]
    assert events.Scalars("test/mse")[0].value == pytest.approx(evaluation["model"]["mse"])
    assert events.Images("picture")[0].encoded_image_string == (run / "picture.png").read_bytes()


def test_mlflow_reads_what_the_journal_says(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    run, records, evaluation = trained(tmp_path / "run", "mlflow")
    client = mlflow.MlflowClient(tracking_uri=(run / "mlflow").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("tracked").experiment_id])
    history = sorted((metric.step, metric.value) for metric in client.get_metric_history(found.info.run_id, "validation/kl"))
    assert history == [(step, pytest.approx(value)) for step, value in wanted(records, "validation", "kl")]
    assert found.data.metrics["test/mse"] == pytest.approx(evaluation["model"]["mse"])
    assert found.info.status == "FINISHED"


def test_weights_and_biases_keeps_an_offline_run(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    run, _, _ = trained(tmp_path / "run", "wandb")
    (stored,) = run.glob("wandb/offline-run-*/*.wandb")
    assert b"validation" in stored.read_bytes()


def test_a_tracker_that_fails_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, folder: Path, heading: Heading) -> None:
            pass

        def log(self, figures: dict[str, float], step: int) -> None:
            raise OSError("the disk is gone\nand more")

    told: list[str] = []
    quiet = Quiet()
    quiet.note = told.append  # type: ignore[method-assign, assignment]
    monkeypatch.setitem(trackers.TRACKERS, "tensorboard", Broken)
    run = train(load("spec.yaml", text=SPEC), folder=tmp_path / "run", display=trackers.Tracked(quiet, ["tensorboard"])).run
    assert (run / "evaluation.json").exists()
    assert [each for each in told if "left out" in each] == ["tensorboard is left out from here on: OSError: the disk is gone"]


def test_a_tracker_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "mlflow":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(trackers.importlib, "import_module", without)
    (tmp_path / "spec.yaml").write_text(SPEC)
    code, _, err = called(("train", tmp_path / "spec.yaml", "--track", "mlflow", "-o", tmp_path / "run"), monkeypatch, capsys)
    assert (code, "AE560" in err, "pip install mlflow-skinny" in err) == (2, True, True)
    assert not (tmp_path / "run").exists()


def test_scores_are_flat() -> None:
    ending = Ending("best-1", 1, 0.5, 10, {"model": {"terms": {"kl": 1.0}, "mse": 2, "name": "x"}}, "run", "picture.png", (), {}, "")
    assert dict(trackers._flat(ending.scores["model"])) == {"kl": 1.0, "mse": 2.0}
