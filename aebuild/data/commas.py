"""Comma-separated text: its head, and its columns with every bad cell named."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from aebuild.data.faults import fault, must_fit, reading, regular_file, shown
from aebuild.data.rules import DAMAGED, NOT_FINITE, TOO_FEW

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST_ROWS = 20
SEPARATORS = ",;\t"
MOST_COLUMNS = 100_000


@dataclass(frozen=True)
class Head:
    """What the first rows tell: the names, which columns hold numbers, the separator, and whether a line of names is there."""

    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    separator: str
    titled: bool
    first: tuple[str, ...]


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    regular_file(path)
    with reading(path):
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            held = error.object[error.start:error.start + 4].hex(" ")
            raise fault(DAMAGED, f"{shown(path)} is not UTF-8 text (it has the bytes {held})", "save it as UTF-8") from error


def _rows(file: TextIO, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells, without empty lines."""
    reader = csv.reader(file, delimiter=separator, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise fault(DAMAGED, f"{shown(path)}, line {reader.line_num}: {shown(error)}") from error


def number(cell: str) -> float | None:
    """The finite number that a cell holds, if it does; `1_000` is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def head(path: Path) -> Head:
    """Reads the first rows only.

    The first line is one of names unless all its cells are numbers; then columns are named 0, 1, ...
    """
    with _text(path) as file:
        line = file.readline(1 << 20)
        separator = max(SEPARATORS, key=line.count)
        file.seek(0)
        rows = list(islice(_rows(file, separator, path), FIRST_ROWS + 1))
    if not rows:
        raise fault(TOO_FEW, f"{shown(path)} is empty")
    width = len(rows[0][1])
    if width > MOST_COLUMNS:
        raise fault(DAMAGED, f"{shown(path)} has {width:,} columns in its first line; at most {MOST_COLUMNS:,} are read")
    titled = not all(number(cell) is not None for cell in rows[0][1])
    names = tuple(cell.strip() or str(place) for place, cell in enumerate(rows[0][1])) if titled else tuple(map(str, range(width)))
    body = [_checked(row, width, line, path) for line, row in rows[titled:]]
    if not body:
        raise fault(TOO_FEW, f"{shown(path)} has a line of names but no rows")
    numeric = tuple(any(_numberlike(row[place]) for row in body) for place in range(width))
    return Head(names, numeric, separator, titled, tuple(body[0]))


def _numberlike(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _checked(row: list[str], width: int, line: int, path: Path) -> list[str]:
    if len(row) != width:
        raise fault(DAMAGED, f"{shown(path)}, line {line}: {len(row)} cells, but the first line has {width}")
    return row


def read(path: Path, top: Head, numbers: Sequence[int], words: Sequence[int]) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Columns of numbers as [rows, columns] and columns of words; a cell that is no number is named by line and column."""
    import numpy as np

    must_fit(4 * regular_file(path), shown(path))
    flat, width, count = array("d"), len(top.names), 0
    texts: list[list[str]] = [[] for _ in words]
    pick: Any = itemgetter(*numbers) if len(numbers) > 1 else lambda row: tuple(row[place] for place in numbers)
    with _text(path) as file:
        rows = _rows(file, top.separator, path)
        for line, row in islice(rows, int(top.titled), None):
            cells = pick(_checked(row, width, line, path))
            try:
                values = tuple(map(float, cells))
            except ValueError:
                values = (math.nan,)
            if not math.isfinite(sum(values)) or any("_" in cell for cell in cells):
                values = _strictly(cells, [top.names[place] for place in numbers], line, path)
            flat.extend(values)
            count += 1
            for held, place in zip(texts, words, strict=True):
                held.append(row[place].strip())
    return np.asarray(flat, np.float64).reshape(count, len(numbers)), texts


def _strictly(cells: Sequence[str], names: Sequence[str], line: int, path: Path) -> tuple[float, ...]:
    """The numbers of a row, or the message about its first bad cell."""
    values = []
    for cell, name in zip(cells, names, strict=True):
        value = number(cell)
        if value is None:
            held = f"holds {shown(cell)!r}, which is not a finite number" if cell.strip() else "is empty"
            raise fault(NOT_FINITE, f"{shown(path)}, line {line}, column {shown(name)}: the cell {held}",
                        "fill or remove the row, or leave the column out (columns)")
        values.append(value)
    return tuple(values)
