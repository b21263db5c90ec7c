"""Results as a table for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from aebuild.results.diagnosis.beaten import LOSSLESS
from aebuild.trainer.progress.formatting import code_size, number, numbers

if TYPE_CHECKING:
    from aebuild.results.evaluate import Evaluation, Scores

NEW = "new data"        # what is judged where it is no split of the run's own
Row = tuple[str, Callable[["Scores"], "float | None"], bool | None]      # label, value, True if more is better


def table(evaluation: Evaluation) -> Table:
    """Model, PCA and mean side by side; the best of each row in bold."""
    columns = [(evaluation.name, evaluation.model), (evaluation.plain_name, evaluation.plain),
               (f"PCA, {numbers(evaluation.components)}", evaluation.pca),
               ("most frequent token" if evaluation.pca is None else "mean", evaluation.mean)]
    parts = [part for _, part in columns if part is not None]
    size = code_size(evaluation.code_values, evaluation.code_bits)
    judged = evaluation.split if evaluation.split == NEW else f"{evaluation.split} split"
    drawn = Table(title=Text(f"{judged}, {evaluation.samples:,} samples; code of {size}"),
                  title_justify="left", title_style="bold", box=None, padding=(0, 3, 0, 0), header_style="dim")
    drawn.add_column("")
    told = _of_pca(evaluation)
    if told:
        drawn.caption = Text(told, "dim")
        drawn.caption_justify = "left"
    for name, part in columns:
        if part is not None:
            drawn.add_column(Text(name), justify="right")
    for label, value, more_is_better in _rows(evaluation):
        values = [value(part) for part in parts]
        known = [found for found in values if found is not None]
        best = None if more_is_better is None or len(known) < 2 else max(known) if more_is_better else min(known)
        cells = [Text("" if found is None else number(found), "bold green" if found is not None and found == best else "")
                 for found in values]
        drawn.add_row(Text(label), *cells)
    for task, kept in evaluation.tasks.items():
        for name, figure in kept.answer.figures.items():
            drawn.add_row(Text(f"{task} {name}"), Text(number(figure)), *(Text() for _ in parts[1:]))
    return drawn


def _of_pca(evaluation: Evaluation) -> str:
    """Why PCA is no rival, where it is none."""
    if evaluation.pca is not None and (evaluation.pca.mse or 0.0) < LOSSLESS:
        return "the code is not smaller than the data, so PCA loses nothing"
    if evaluation.pca is not None and evaluation.translated:
        return "PCA is of the targets, which the model's encoder does not see"
    return ""


def _rows(evaluation: Evaluation) -> list[Row]:
    rows: list[Row] = [(name, _term(name), False if name == "reconstruction" else None) for name in evaluation.model.terms]
    rows += [("MSE per element", lambda scores: scores.mse, False), ("PSNR in dB", lambda scores: scores.psnr, True),
             ("tokens right", lambda scores: scores.accuracy, True)]
    rows += [(name, _metric(name), None) for name in evaluation.model.metrics]
    return [row for row in rows if row[1](evaluation.model) is not None]


def _term(name: str) -> Callable[[Scores], float | None]:
    return lambda scores: scores.terms.get(name)


def _metric(name: str) -> Callable[[Scores], float | None]:
    return lambda scores: scores.metrics.get(name)
