"""A comparison of runs as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aebuild.lang.printable import clean
from aebuild.results.comparison import Compared, Comparison
from aebuild.results.run_facts import EvaluationRecord, RunFacts, ScoresRecord
from aebuild.trainer.progress.formatting import duration, number

LONGEST = 60       # characters of a value in a cell; --json has all of it
Value = Callable[[ScoresRecord], "float | None"]


@dataclass(frozen=True)
class Row:
    """One figure of every run: its name, the values, their texts, and whether more is better (None: neither)."""

    name: str
    values: tuple[float | None, ...]
    texts: tuple[str, ...]
    more_is_better: bool | None = None
    figure: str = ""              # what the comparison calls it, if not by its name


def comparison_tables(comparison: Comparison) -> Iterator[RenderableType]:
    """What differs in the specs, then the figures beside those of the baselines."""
    labels = labels_of(comparison.runs)
    if comparison.spec:
        table = _table("spec", labels)
        for found in comparison.spec:
            table.add_row(clean(found.path), *(Text("↕", "dim") if value is None else Text(cut(value)) for value in found.values))
        yield table
        if any(value is None for found in comparison.spec for value in found.values):
            yield Text("↕ differs at a path above or below this one", "dim")
    else:
        yield Text("the specs do not differ")
    yield ""
    table = _table("results", labels)
    for row in rows([run.facts for run in comparison.runs]):
        apart = (row.figure or row.name.strip()) in comparison.unlike
        best = None if apart else best_of(row)
        cells = (Text(text, "bold green" if best is not None and value == best else "")
                 for value, text in zip(row.values, row.texts, strict=True))
        table.add_row(clean(row.name) + (" ≠" if apart else ""), *cells)
    yield table
    if comparison.unlike:
        yield Text("≠ does not compare between these runs", "dim")


def rows(runs: list[RunFacts]) -> Iterator[Row]:
    """Every figure that one of the runs has."""
    yield _words("state", [run.state for run in runs])
    yield _words("data", [run.data or "" for run in runs])
    yield _numbers("parameters", [run.parameters for run in runs], lambda value: f"{value:,.0f}")
    yield _numbers("MACs", [run.macs for run in runs], lambda value: f"{value:,.0f}")
    yield _words("code", [run.code or "" for run in runs])
    yield _numbers("code in bits", [run.code_bits for run in runs], lambda value: f"{value:,.0f}")
    yield _numbers("epochs", [run.epochs for run in runs], lambda value: f"{value:,.0f}")
    yield _numbers("time", [run.seconds for run in runs], duration)
    yield _numbers("kept score", [run.score for run in runs], more_is_better=False)
    evaluations = [run.evaluation for run in runs]
    yield _words("judged by", [f"{found.samples:,} samples, {found.split}" if found is not None else "" for found in evaluations])
    yield from _judged("reconstruction", evaluations, lambda scores: scores.terms.get("reconstruction"), False)
    yield from _judged("MSE per element", evaluations, lambda scores: scores.mse, False)
    yield _numbers("error ÷ PCA's", [run.error_of_pca for run in runs], more_is_better=False, figure="MSE per element")
    yield from _judged("PSNR in dB", evaluations, lambda scores: scores.psnr, True)
    yield from _judged("tokens right", evaluations, lambda scores: scores.accuracy, True)
    yield from _further(evaluations)


def _judged(name: str, evaluations: list[EvaluationRecord | None], value: Value, more_is_better: bool) -> Iterator[Row]:
    """A figure of the models, and below it that of each baseline; nothing where no run has it."""
    columns = [dict(found.columns()) if found is not None else {} for found in evaluations]
    for way in dict.fromkeys(way for column in columns for way in column):
        values = [value(column[way]) if way in column else None for column in columns]
        if any(each is not None for each in values):
            own = way == "model"
            yield _numbers(name if own else f"  {way}", values, more_is_better=more_is_better if own else None, figure=name)


def _further(evaluations: list[EvaluationRecord | None]) -> Iterator[Row]:
    """Other terms, metrics and the figures of tasks, which each have a meaning of their own."""
    for group, figures in (("terms", [found.model.terms if found is not None else {} for found in evaluations]),
                           ("metrics", [found.model.metrics if found is not None else {} for found in evaluations]),
                           ("tasks", [_flat(found) for found in evaluations])):
        for name in dict.fromkeys(name for each in figures for name in each if name != "reconstruction"):
            yield _numbers(name, [each.get(name) for each in figures], figure=group)


def _flat(evaluation: EvaluationRecord | None) -> dict[str, float]:
    tasks = evaluation.tasks if evaluation is not None else {}
    return {f"{task} {name}": value for task, figures in tasks.items() for name, value in figures.items()}


def _numbers(name: str, values: list[float | None] | list[int | None], told: Callable[[float], str] = number, *,
             more_is_better: bool | None = None, figure: str = "") -> Row:
    return Row(name, tuple(values), tuple("" if value is None else told(value) for value in values), more_is_better, figure)


def _words(name: str, texts: list[str]) -> Row:
    return Row(name, (None,) * len(texts), tuple(clean(text) for text in texts))


def best_of(row: Row) -> float | None:
    """The best value of a row, where one is better than another."""
    known = [value for value in row.values if value is not None]
    if row.more_is_better is None or len(set(known)) < 2:
        return None
    return max(known) if row.more_is_better else min(known)


def _table(title: str, labels: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    for label in labels:
        table.add_column(Text(label), overflow="fold", justify="right")
    return table


def labels_of(runs: tuple[Compared, ...]) -> list[str]:
    """The names of the folders, or their paths where two have the same name."""
    names = [run.label for run in runs]
    return [clean(name if names.count(name) == 1 else str(run.facts.folder)) for name, run in zip(names, runs, strict=True)]


def cut(text: str) -> str:
    """A value of a spec, short enough for a cell."""
    told = clean(text)
    return told if len(told) <= LONGEST else f"{told[:LONGEST - 1]}…"
