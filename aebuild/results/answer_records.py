"""The JSON of a task's answer in a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from aebuild.trainer.run_dir.records import Name, Record, Whole, record_in

FOLDER = "tasks"          # of a run: NAME.json, NAME.npz and NAME.png of each answer


class ExhibitRecord(Record):
    """What is shown of an answer; arrays stand beside it in the .npz by their keys."""

    kind: Literal["table", "samples", "lines", "points"]
    title: str
    columns: list[str] = []
    rows: list[list[str | float | int | None]] = []
    captions: list[str] = []
    x: str = ""
    y: str = ""
    mark: str = ""
    names: list[str] = []
    arrays: list[str] = []


class AnswerRecord(Record):
    """`tasks/NAME.json`."""

    task: dict[str, Any]
    split: str
    samples: Whole
    weights: str
    figures: dict[Name, float]
    exhibits: list[ExhibitRecord] = []
    notes: list[str] = []


def figures_of(folder: Path) -> dict[str, dict[str, float]]:
    """The figures of each task that a run keeps the answer of; CheckpointError for a damaged one."""
    return {path.stem: dict(record_in(path, AnswerRecord).figures) for path in sorted((folder / FOLDER).glob("*.json"))}
