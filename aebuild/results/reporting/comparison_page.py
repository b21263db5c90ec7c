"""What the page tells of several runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from aebuild.lang.printable import clean
from aebuild.lang.tasks import Task
from aebuild.results.answers import answers_of
from aebuild.results.comparing.pareto import non_dominated
from aebuild.results.comparison import Comparison, compare
from aebuild.results.comparison_table import Row, best_of, cut, labels_of, rows
from aebuild.results.reporting.charts import line_plot, marked_plot
from aebuild.results.reporting.run_page import Grid, Warned
from aebuild.trainer.progress.formatting import number
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from aebuild.results.comparison import Compared


@dataclass(frozen=True)
class ComparisonPage:
    """What differs between runs, their figures, curves and costs."""

    labels: Sequence[str]
    alike: Sequence[tuple[str, str]]
    spec: Grid
    results: Grid
    tasks: Sequence[Grid]
    plots: Sequence[tuple[str, Markup]]
    warnings: Sequence[Warned]
    comparison: Comparison


def comparison_page(folders: Sequence[Path]) -> ComparisonPage:
    """Compares runs, each with the first; CheckpointError if one is no run or damaged."""
    found = compare(folders)
    labels = labels_of(found.runs)
    spec = Grid("what differs in the specs", ["path", *labels],
                [[clean(each.path), *("↕" if value is None else cut(value) for value in each.values)] for each in found.spec])
    figures = [row for row in rows([run.facts for run in found.runs]) if row.figure != "tasks"]
    alike = [(_head(row), row.texts[0]) for row in figures if len(set(row.texts)) == 1 and row.texts[0]]
    figures = [row for row in figures if len(set(row.texts)) > 1]
    return ComparisonPage(labels, alike, spec, _results(found, figures, labels), list(_tasks(found, labels)), list(_plots(found, labels)),
                          [Warned(each.code, clean(each.message)) for each in found.warnings], found)


def _head(row: Row) -> str:
    """What a row of the comparison is called where it stands alone: a baseline says of which figure."""
    return f"{row.figure} of {row.name.strip()}" if row.name.startswith(" ") else row.name


def _results(found: Comparison, figures: Sequence[Row], labels: Sequence[str]) -> Grid:
    """A row a run and a column a figure, so that it sorts by any; the figures of the models first."""
    figures = sorted(figures, key=lambda row: row.more_is_better is None)
    best = set()
    for column, row in enumerate(figures):
        wanted = None if (row.figure or row.name.strip()) in found.unlike else best_of(row)
        best |= {(place, column + 1) for place, value in enumerate(row.values) if wanted is not None and value == wanted}
    heads = [_head(row) + (" ≠" if (row.figure or row.name.strip()) in found.unlike else "") for row in figures]
    return Grid("results", ["run", *heads], [[label, *(row.texts[place] for row in figures)] for place, label in enumerate(labels)],
                frozenset(best))


def _tasks(found: Comparison, labels: Sequence[str]) -> Iterator[Grid]:
    """One table a task; what is better by the meaning of a figure is marked, where the figure compares between the runs."""
    answers = [answers_of(run.facts.folder) for run in found.runs]
    for task in dict.fromkeys(name for held in answers for name in held):
        told = [held.get(task) for held in answers]
        there = [kept for kept in told if kept is not None]
        figures = list(dict.fromkeys(name for kept in there for name in kept.answer.figures))
        kind: Any = Task.variants.get(str(there[0].task.get("type")), Task)
        asked_alike = "tasks" not in found.unlike and all((kept.task, kept.split, kept.samples) ==
                                                          (there[0].task, there[0].split, there[0].samples) for kept in there)
        heads, best = ["run"], set()
        for column, name in enumerate(figures):
            values = [None if kept is None else kept.answer.figures.get(name) for kept in told]
            known = {value for value in values if value is not None}
            alike = asked_alike and kind.scales.get(name) not in found.unlike
            heads.append(name if alike or len(there) < 2 else f"{name} ≠")
            way = kind.meanings.get(name, "").rpartition("; ")[2]
            if alike and len(known) > 1 and way in ("lower is better", "higher is better"):
                wanted = min(known) if way.startswith("lower") else max(known)
                best |= {(place, column + 1) for place, value in enumerate(values) if value == wanted}
        rows = [[label, *("" if kept is None or name not in kept.answer.figures else number(kept.answer.figures[name]) for name in figures)]
                for label, kept in zip(labels, told, strict=True)]
        yield Grid(task, heads, rows, frozenset(best))


def _plots(found: Comparison, labels: Sequence[str]) -> Iterator[tuple[str, Markup]]:
    lines = {label: line for label, run in zip(labels, found.runs, strict=True) if (line := _scores(run)) is not None}
    if lines:
        yield "score over the training", line_plot(lines, "step", "validation score", "validation score of each run over the training")
    points = {label: (run.facts.code_bits, run.facts.evaluation.model.mse) for label, run in zip(labels, found.runs, strict=True)
              if run.facts.evaluation is not None and run.facts.evaluation.model.mse is not None and run.facts.code_bits is not None}
    if len(points) > 1 and "MSE per element" not in found.unlike:
        front = [name for name, best in zip(points, non_dominated(list(points.values())), strict=True) if best]
        yield "size of the code against error", marked_plot(points, "bits of the code", "squared error of a value",
                                                            "each run by its code's bits and its error; the front is joined", front)


def _scores(run: Compared) -> tuple[np.ndarray, np.ndarray] | None:
    records = Run.open(run.facts.folder).journal.read()
    held = [(record["step"], record["score"]) for record in records if isinstance(record.get("score"), int | float)]
    return (np.asarray([step for step, _ in held], float), np.asarray([score for _, score in held], float)) if held else None
