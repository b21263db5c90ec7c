"""A table in words, shown on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
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


GAP = 2          # places between two columns


def on_console(shown: Shown) -> Iterator[RenderableType]:
    """For a terminal."""
    yield Text(clean(shown.title), "bold")
    if shown.rows:
        yield _Columns(shown)
    for line in shown.below:
        yield Text(line, "dim")
    yield ""


class _Columns:
    """The rows of a table; columns that the terminal has no place for stand in a further block, below the first column again."""

    def __init__(self, shown: Shown) -> None:
        self.shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, block in enumerate(self._blocks(options.max_width)):
            if number:
                yield ""
            yield self._table((0, *block))

    def _blocks(self, room: int) -> Iterator[list[int]]:
        """The columns after the first, as many together as there is room for."""
        name, *widths = (max(map(cell_len, (clean(column), *(row[place].text for row in self.shown.rows))))
                         for place, column in enumerate(self.shown.columns))
        block: list[int] = []
        taken = name
        for place, width in enumerate(widths, start=1):
            if block and taken + GAP + width > room:
                yield block
                block, taken = [], name
            block.append(place)
            taken += GAP + width
        yield block

    def _table(self, places: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
        for place in places:
            table.add_column(Text(clean(self.shown.columns[place])), justify="right" if place else "left", overflow="fold")
        for row in self.shown.rows:
            table.add_row(*(Text(row[place].text, "bold green" if row[place].best else "") for place in places))
        return table


def in_markdown(shown: Shown) -> Iterator[str]:
    """The lines of a section."""
    yield from (f"## {shown.title}", "")
    if shown.rows:
        yield from (f"| {' | '.join(map(_escaped, shown.columns))} |", f"| --- |{' --: |' * (len(shown.columns) - 1)}",
                    *(f"| {' | '.join(_bold(cell) for cell in row)} |" for row in shown.rows), "")
    for line in shown.below:
        yield f"{line}.\n"


def _bold(cell: Told) -> str:
    text = _escaped(cell.text)
    return f"**{text}**" if cell.best and text else text


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
