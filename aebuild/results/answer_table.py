"""A task's answer as tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aebuild.lang.printable import clean
from aebuild.lang.tasks import Cell, SampleRows, Task
from aebuild.lang.tasks import Table as Shown
from aebuild.results.answer_records import FOLDER
from aebuild.results.answers import Kept
from aebuild.trainer.progress.formatting import number


def told(run: Path, kept: Kept) -> Iterator[RenderableType]:
    """The figures with what they mean, the tables, and where the picture is."""
    kind = Task.variants[str(kept.task["type"])]
    meanings = getattr(kind, "meanings", {})
    yield Text(f"{kept.name}: {kept.split}, {kept.samples:,} samples", "bold")
    table = _table(("", "", ""))
    for name, value in kept.answer.figures.items():
        table.add_row(Text(name), Text(number(value), "bold"), Text(meanings.get(name, ""), "dim"))
    yield table
    for each in kept.answer.exhibits:
        if isinstance(each, Shown):
            yield Text(clean(each.title), "bold")
            drawn = _table(each.columns)
            for row in each.rows:
                drawn.add_row(*(Text(_cell(cell)) for cell in row))
            yield drawn
    if any(isinstance(each, SampleRows) for each in kept.answer.exhibits):
        yield Text(f"picture: {run / FOLDER / kept.name}.png")


def _table(columns: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), show_header=any(columns))
    for place, name in enumerate(columns):
        table.add_column(Text(clean(name)), justify="left" if place == 0 or not any(columns) else "right", overflow="fold")
    return table


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    return clean(cell) if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else number(cell)
