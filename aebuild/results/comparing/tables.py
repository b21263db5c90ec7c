"""What a bakeoff has found, as tables for people: on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from aebuild.lang.printable import clean
from aebuild.results.comparing.bakeoff import Entry, Results
from aebuild.results.comparing.figures import Cell, FigureTable
from aebuild.results.comparing.matching import told
from aebuild.results.comparing.shown_table import Shown, Told, in_markdown, on_console
from aebuild.results.comparing.significance import ALPHA, CONFIDENCE
from aebuild.trainer.progress.formatting import duration, number


def shown(results: Results) -> Iterator[Shown]:
    """Every table; the first one has the sizes of the contestants and the baselines too."""
    for place, table in enumerate(results.tables):
        sizes = ("parameters", "MACs", "code bits") if place == 0 else ()
        columns = ("spec", *sizes, *(name + (" ≠" if name in table.unlike else "") for name in table.columns), "seeds",
                   *(("time",) if place == 0 else ()))
        rows = [_row(results.entries[name], table, name, sizes=bool(sizes)) for name in table.rows]
        for name, figures in table.baselines.items():
            blank = [Told("")] * len(sizes)
            rows.append((Told(name), *blank, *(Told(number(figures[each]) if each in figures else "") for each in table.columns),
                         *[Told("")] * (len(columns) - 1 - len(sizes) - len(table.columns))))
        yield Shown(table.title, columns, tuple(rows), tuple(_below(table)))


def _row(entry: Entry, table: FigureTable, name: str, *, sizes: bool) -> tuple[Told, ...]:
    plan = entry.plan
    size = [Told(f"{plan.params:,}"), Told(f"{plan.macs:,}"), Told(f"{plan.latent.bits:,.0f}")] if sizes else []
    figures = [_cell(table.rows[name].get(figure)) for figure in table.columns]
    seconds = entry.seconds
    return (Told(clean(name)), *size, *figures, Told(str(len(entry.runs))),
            *([Told("" if seconds is None else duration(seconds))] if sizes else []))


def _cell(cell: Cell | None) -> Told:
    if cell is None:
        return Told("")
    half = "" if cell.interval.half is None else f" ± {cell.interval.half:.2g}"
    return Told(f"{number(cell.interval.mean)}{half}{' ≈' if cell.tied else ''}", cell.best)


def _below(table: FigureTable) -> Iterator[str]:
    if any(cell.interval.half is not None for row in table.rows.values() for cell in row.values()):
        yield f"± half the {CONFIDENCE:.0%} interval of the mean over seeds (Student's t)"
    tests = [(name, cell) for name, row in table.rows.items() for cell in row.values() if cell.test is not None]
    if tests:
        welch = list(dict.fromkeys(name for name, cell in tests if cell.test == "welch"))
        kinds = "paired t over seeds" if len(welch) < len({name for name, _ in tests}) else "Welch's t"
        apart = f"; Welch's t for {', '.join(welch)}" if welch and kinds.startswith("paired") else ""
        yield (f"bold: the best; ≈ cannot be told from it (p ≥ {ALPHA:.2g}); without a mark: worse. {kinds}{apart}; Holm's correction for "
               f"{table.tests} comparisons")
    if table.unlike & table.columns.keys():
        yield "≠ does not compare between these specs"
    for reason in dict.fromkeys(table.unanswered.values()):
        names = [clean(name) for name, why in table.unanswered.items() if why == reason]
        yield f"no answer for {', '.join(names)}: {clean(reason)}"


def console_tables(results: Results) -> Iterator[RenderableType]:
    """For a terminal."""
    for each in shown(results):
        yield from on_console(each)
    for line in remarks(results):
        yield Text(line)


def remarks(results: Results) -> Iterator[str]:
    """What was matched, and what failed."""
    for entry in results.entries.values():
        if entry.record.matched is not None:
            yield clean(told(entry.record.name, entry.record.matched))
    for training, reason in results.failures.items():
        yield clean(f"{training.contestant}, seed {training.seed}, is not in the tables: {reason}")


def markdown(results: Results, title: str, how: Sequence[str], tables: Sequence[Shown] = ()) -> str:
    """A page with the same tables, or these; `how` are lines on how they came about."""
    lines = [f"# {title}", "", *how, "", *(line for each in tables or shown(results) for line in in_markdown(each))]
    return "\n".join([*lines, *(f"- {line}" for line in remarks(results))]).rstrip() + "\n"
