"""The tables of a bakeoff or sweep, as they stand in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aebuild.results.reporting.run_page import Grid
from aebuild.trainer.progress.formatting import number
from aebuild.trainer.run_dir.records import Record, record_in

FILES = ("bakeoff.json", "sweep.json")
TOLD = 0.05             # below which a difference is told from chance


class CellRecord(Record):
    """A mean over seeds, half its interval, and whether it is the best or can be told from it."""

    mean: float
    half: float | None = None
    best: bool = False
    p: float | None = None


class TableRecord(Record):
    """One table: rows of specs by name."""

    title: str
    rows: dict[str, dict[str, CellRecord]]
    baselines: dict[str, dict[str, float]] = {}


class ResultsRecord(Record):
    """`results.json`."""

    tables: list[TableRecord]


def is_campaign(folder: Path) -> bool:
    """True for a folder of a bakeoff or sweep with results."""
    return (folder / "results.json").is_file() and any((folder / name).is_file() for name in FILES)


def campaign_tables(folder: Path) -> Iterator[Grid]:
    """One table a task: means over seeds with half their intervals; ≈ for what cannot be told from the best. CheckpointError if damaged."""
    for table in record_in(folder / "results.json", ResultsRecord).tables:
        told = [*map(list, table.rows.values()), *map(list, table.baselines.values())]
        columns = list(dict.fromkeys(name for names in told for name in names))
        rows: list[list[str]] = []
        best: set[tuple[int, int]] = set()
        for place, (name, row) in enumerate(table.rows.items()):
            rows.append([name, *(_cell(row.get(column)) for column in columns)])
            best |= {(place, at + 1) for at, column in enumerate(columns) if column in row and row[column].best}
        rows += [[name, *(number(held[column]) if column in held else "" for column in columns)] for name, held in table.baselines.items()]
        yield Grid(table.title, ["spec", *columns], rows, frozenset(best))


def _cell(cell: CellRecord | None) -> str:
    if cell is None:
        return ""
    told = number(cell.mean) + ("" if cell.half is None else f" ± {cell.half:.2g}")
    return f"{told} ≈" if cell.p is not None and cell.p >= TOLD else told
