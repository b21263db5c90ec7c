"""A table in words, shown on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aebuild.lang.printable import clean


@dataclass(frozen=True)
class Told:
    """The text of a cell, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Shown:
    """A table in words: its title, its columns, its rows, and the lines below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Told, ...], ...]
    below: tuple[str, ...]


def on_console(shown: Shown) -> Iterator[RenderableType]:
    """For a terminal."""
    table = Table(title=Text(clean(shown.title)), title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim",
                  padding=(0, 2, 0, 0))
    for place, name in enumerate(shown.columns):
        table.add_column(Text(clean(name)), justify="right" if place else "left", overflow="fold")
    for row in shown.rows:
        table.add_row(*(Text(cell.text, "bold green" if cell.best else "") for cell in row))
    yield table
    for line in shown.below:
        yield Text(line, "dim")
    yield ""


def in_markdown(shown: Shown) -> Iterator[str]:
    """The lines of a section."""
    yield from (f"## {shown.title}", "", f"| {' | '.join(map(_escaped, shown.columns))} |",
                f"| --- |{' --: |' * (len(shown.columns) - 1)}")
    for row in shown.rows:
        yield f"| {' | '.join(_bold(cell) for cell in row)} |"
    yield ""
    for line in shown.below:
        yield f"{line}.\n"


def _bold(cell: Told) -> str:
    text = _escaped(cell.text)
    return f"**{text}**" if cell.best and text else text


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
