"""The answers of evaluation tasks: asked of a trained model, and kept in its run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.lang.diagnostics import CheckpointError, DataError, Diagnostic, Rule, SpecError, UsageError
from aebuild.lang.tasks import Answer, Cell, Exhibit, LinePlot, SampleRows, ScatterPlot, Table, Task, Unanswered
from aebuild.results.answer_records import FOLDER, AnswerRecord, ExhibitRecord
from aebuild.results.picture import draw_rows
from aebuild.results.trained import TrainedModel
from aebuild.trainer.run_dir.atomic_files import replace_file
from aebuild.trainer.run_dir.kept_arrays import kept_arrays
from aebuild.trainer.run_dir.records import record_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split, Splits
    from aebuild.results.trained_run import TrainedRun

UNTOLD = Rule("AE540", "a task without an answer", """
A task asks something that not every model or data set can answer: a distance between samples needs a design that can draw them, a
probe needs labels of more than one class. In a training the rest of the evaluation goes on and says so. A figure that is no number is
never written down.

```console
$ aebuild evaluate runs/unet --task samples          # its decoder reads the encoder's features through skips: refused
$ aebuild evaluate runs/unet --task reconstruction
```
""")
DAMAGED = Rule("AE541", "a damaged answer of a task", """
The figures of a task stand in `tasks/NAME.json` of the run, what is drawn of them in `tasks/NAME.npz` beside it. One of them is not
what was written. Asking again writes both anew.

```console
$ aebuild report runs/vae                            # tasks/probe.npz is cut short: refused
$ aebuild evaluate runs/vae --task probe
```
""")
Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Kept:
    """An answer as a run keeps it: which task with its settings, on which split of how many samples, with which weights."""

    name: str
    task: Mapping[str, Any]
    split: str
    samples: int
    weights: str
    answer: Answer

    def to_json(self) -> dict[str, Any]:
        """Its figures, tables and notes as plain JSON types."""
        return {"task": dict(self.task), "split": self.split, "samples": self.samples, "weights": self.weights,
                "figures": self.answer.figures, "notes": list(self.answer.notes),
                "tables": [{"title": each.title, "columns": list(each.columns), "rows": _rows(each)}
                           for each in self.answer.exhibits if isinstance(each, Table)]}


def ask(run: TrainedRun, splits: Splits, name: str, judged: Split, tasks: Sequence[Task], progress: Progress) -> list[Kept]:
    """Asks each task and keeps its answer in the run; one that cannot be answered has no figures and a note that says why.

    What has no figures takes the place of no answer that has some.
    """
    found = []
    for task in tasks:
        follow = partial(progress, f"evaluating {task.key}")
        follow(0, 0)
        written = task.model_dump(mode="json", by_alias=True, exclude_none=True)
        kept = Kept(task.key, written, name, len(judged), run.kept, _sound(task, TrainedModel(run, splits, judged, follow)))
        found.append(kept)
        if not kept.answer.figures and _answered(run, task.key):
            continue
        keep(run.run.folder, kept)
        shown = [(f"{each.title}: {caption}" if caption else each.title, samples)
                 for each in kept.answer.exhibits if isinstance(each, SampleRows) for caption, samples in each.rows.items()]
        picture = run.run.folder / FOLDER / f"{task.key}.png"
        picture.unlink(missing_ok=True)                       # of an earlier answer, which may have been of another kind
        if shown:
            draw_rows(run.plan, splits, f"{run.plan.spec.name}: {task.key}", shown, picture)
    return found


def _answered(run: TrainedRun, name: str) -> bool:
    """True if the run keeps figures of that name, of these weights; a damaged answer is none."""
    path = run.run.folder / FOLDER / f"{name}.json"
    try:
        held = record_in(path, AnswerRecord) if path.is_file() else None
    except CheckpointError:
        return False
    return held is not None and held.weights == run.kept and bool(held.figures)


def _sound(task: Task, trained: TrainedModel) -> Answer:
    """Its answer without figures that are no numbers, which become notes."""
    try:
        answer = task.evaluate(trained)
    except Unanswered as reason:
        return Answer({}, (), (str(reason),))
    except (SpecError, UsageError, DataError) as error:              # what a verb would refuse
        return Answer({}, (), tuple(each.message for each in error.diagnostics))
    figures = {name: float(value) for name, value in answer.figures.items() if math.isfinite(value)}
    notes = (f"{name} is no number on these data" for name in answer.figures if name not in figures)
    return Answer(figures, answer.exhibits, (*answer.notes, *notes))


def keep(folder: Path, kept: Kept) -> None:
    """Writes an answer into a run: figures, tables and notes as JSON, arrays as .npz."""
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {}
    exhibits = [_record(f"{number}", each, arrays) for number, each in enumerate(kept.answer.exhibits)]
    told = AnswerRecord(task=dict(kept.task), split=kept.split, samples=kept.samples, weights=kept.weights, figures=kept.answer.figures,
                        exhibits=exhibits, notes=list(kept.answer.notes))
    stored = BytesIO()
    np.savez_compressed(stored, **arrays)  # type: ignore[arg-type]
    replace_file(place / f"{kept.name}.npz", stored.getvalue())
    replace_file(place / f"{kept.name}.json", (json.dumps(told.model_dump(), ensure_ascii=False, indent=1) + "\n").encode())


def _rows(table: Table) -> list[list[Cell]]:
    """The rows as JSON can have them: what is no number is left out."""
    return [[None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row] for row in table.rows]


def _record(key: str, exhibit: Exhibit, arrays: dict[str, NDArray[Any]]) -> ExhibitRecord:
    match exhibit:
        case Table():
            return ExhibitRecord(kind="table", title=exhibit.title, columns=list(exhibit.columns), rows=_rows(exhibit))
        case SampleRows():
            held = {f"{key}.{place}": np.asarray(samples) for place, samples in enumerate(exhibit.rows.values())}
            arrays |= held
            return ExhibitRecord(kind="samples", title=exhibit.title, captions=list(exhibit.rows), arrays=list(held))
        case LinePlot():
            held = {f"{key}.{place}": np.stack(line) for place, line in enumerate(exhibit.lines.values())}
            arrays |= held
            marks = {f"{key}.mark.{place}": np.asarray(exhibit.marks[name])
                     for place, name in enumerate(exhibit.lines) if name in exhibit.marks}
            arrays |= marks
            return ExhibitRecord(kind="lines", title=exhibit.title, x=exhibit.x, y=exhibit.y, mark=exhibit.mark,
                                 captions=list(exhibit.lines), arrays=[*held, *marks])
        case ScatterPlot():
            parts = {"points": exhibit.points, "labels": exhibit.labels, "rows": exhibit.rows}
            held = {f"{key}.{name}": array for name, array in parts.items() if array is not None}
            arrays |= held
            return ExhibitRecord(kind="points", title=exhibit.title, names=list(exhibit.names), arrays=list(held))


def answers_of(folder: Path) -> dict[str, Kept]:
    """The answers that a run keeps, by name; CheckpointError for a damaged one."""
    return {path.stem: read_answer(path) for path in sorted((folder / FOLDER).glob("*.json"))}


def read_answer(path: Path) -> Kept:
    """One answer from its JSON and the arrays beside it; CheckpointError if they are damaged."""
    told = record_in(path, AnswerRecord)
    try:
        arrays = kept_arrays(path.with_suffix(".npz"))
        exhibits = tuple(_exhibit(each, arrays) for each in told.exhibits)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise CheckpointError(Diagnostic(DAMAGED, f"{path.with_suffix('.npz')} is damaged: {error}",
                                         fix=f"aebuild evaluate {path.parent.parent} --task {path.stem}")) from error
    return Kept(path.stem, told.task, told.split, told.samples, told.weights, Answer(told.figures, exhibits, tuple(told.notes)))


def _exhibit(told: ExhibitRecord, arrays: Mapping[str, NDArray[Any]]) -> Exhibit:
    held = {key.partition(".")[2]: arrays[key] for key in told.arrays}
    match told.kind:
        case "table":
            return Table(told.title, tuple(told.columns), tuple(tuple(row) for row in told.rows))
        case "samples":
            return SampleRows(told.title, dict(zip(told.captions, held.values(), strict=True)))
        case "lines":
            lines = {name: (held[str(place)][0], held[str(place)][1]) for place, name in enumerate(told.captions)}
            marks = {name: held[f"mark.{place}"] for place, name in enumerate(told.captions) if f"mark.{place}" in held}
            return LinePlot(told.title, told.x, told.y, lines, marks, told.mark)
        case "points":
            return ScatterPlot(told.title, held["points"], held.get("labels"), tuple(told.names), held.get("rows"))
