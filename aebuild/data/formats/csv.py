"""Comma-separated text: its head, and its columns with every bad cell named."""

from __future__ import annotations

import csv
import io
import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from aebuild.data.column_checks import EXACT, KEPT, LOOKED_AT, beyond_doubles
from aebuild.data.errors import fault, must_fit, reading, regular_file, shown
from aebuild.data.formats.csv_dialect import ROWS, UNNAMED, Asked, Dialect, Row, counts, find_dialect, number
from aebuild.data.formats.empty_cells import GAPS, REMEDY
from aebuild.data.rules import DAMAGED, NOT_FINITE, TOO_FEW
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST_LETTERS = 1 << 20
LONGEST_HEAD = 1 << 24        # letters in which the first lines must end
MOST_COLUMNS = 100_000
NUMBERS = 0.8                 # of the known cells, above which the others are mistakes and not words


@dataclass(frozen=True)
class Head:
    """What the first rows tell: the names, which columns hold numbers, how it is written, and the rows themselves."""

    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    dialect: Dialect
    rows: tuple[Row, ...]

    def cells(self, place: int) -> list[str]:
        """A column's cells in the first rows."""
        return [row[place] for _, row in self.rows]


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    regular_file(path)
    with reading(path):
        try:
            with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            held = error.object[error.start:error.start + 4].hex(" ")
            raise fault(DAMAGED, f"{shown(path)} is not UTF-8 text (it has the bytes {held})", Hint("save it as UTF-8")) from error


def _rows(file: TextIO, separator: str, path: Path) -> Iterator[Row]:
    """Line numbers and cells, without empty lines."""
    reader = csv.reader(file, delimiter=separator, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise fault(DAMAGED, f"{shown(path)}, line {reader.line_num}: {shown(error)}") from error


def head(path: Path, asked: Asked | None = None) -> Head:
    """Reads the first rows only, a thousand or a megabyte of them.

    Without a line of names columns are named 0, 1, ...
    """
    with _text(path) as file:
        text = file.read(FIRST_LETTERS)
        while text.count("\n") < 2 and len(text) < LONGEST_HEAD and (more := file.read(FIRST_LETTERS)):
            text += more
        whole = not file.read(1)
        dialect, rows = find_dialect(text if whole else text[:text.rfind("\n") + 1], asked or Asked())
        if len(rows) <= 1 or (whole and len(rows) <= ROWS):             # what ended the rows early is said by the strict reading
            file.seek(0)
            rows = list(islice(_rows(file, dialect.separator, path), int(dialect.marked), ROWS + 1))
    if not rows:
        raise fault(TOO_FEW, f"{shown(path)} is empty")
    titles, body = rows[0][1], rows[dialect.titled:]
    if len(titles) > MOST_COLUMNS:
        raise fault(DAMAGED, f"{shown(path)} has {len(titles):,} columns in its first line; at most {MOST_COLUMNS:,} are read")
    if not body:
        raise fault(TOO_FEW, f"{shown(path)} has a line of names but no rows")
    if dialect.titled and _rows_have_names(len(titles), body):
        titles = ["", *titles]
    names = _named(titles) if dialect.titled else tuple(map(str, range(len(titles))))
    for line, row in body:
        _checked(row, len(names), line, path)
    numeric = tuple(mostly_numbers([row[place] for _, row in body]) for place in range(len(names)))
    return Head(names, numeric, dialect, tuple(body))


def _rows_have_names(width: int, body: Sequence[Row]) -> bool:
    """True if every row has one cell more than the line of names, which names or counts the row, as R writes it."""
    if width < 2 or any(len(row) != width + 1 for _, row in body):
        return False
    first = [row[0] for _, row in body]
    return all(number(cell) is None for cell in first) or counts(first)


def _named(titles: Sequence[str]) -> tuple[str, ...]:
    stripped = [title.strip() for title in titles]
    return tuple(title or (str(place) if str(place) not in stripped else f"{UNNAMED} {place}") for place, title in enumerate(stripped))


def mostly_numbers(cells: Sequence[str]) -> bool:
    """True for a column of numbers, of which one or another may be none; cells that are empty tell nothing."""
    known = [cell for cell in cells if cell.strip() not in GAPS]
    return sum(map(_numberlike, known)) > NUMBERS * len(known)


def _numberlike(cell: str) -> bool:
    """True for what was meant as a number, though it may not be taken for one: 1,000 or 1_000 or NaN."""
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def _checked(row: list[str], width: int, line: int, path: Path) -> list[str]:
    if len(row) != width:
        raise fault(DAMAGED, f"{shown(path)}, line {line}: {len(row)} cells, but the first line has {width}")
    return row


def check(path: Path, top: Head, numbers: Sequence[int], gaps: bool = False) -> None:
    """Refuses a cell of the first rows that is no number."""
    names = [top.names[place] for place in numbers]
    for line, row in top.rows:
        _numbers([row[place] for place in numbers], names, line, path, top.dialect.decimal, gaps)


def survey(path: Path, top: Head, words: Sequence[int], gaps: Sequence[int]) -> tuple[list[set[str]], set[int]]:
    """The different words of some columns, and which of others hold an empty cell; the whole table is read."""
    found: list[set[str]] = [set() for _ in words]
    empty: set[int] = set()
    with _text(path) as file:
        for line, row in islice(_rows(file, top.dialect.separator, path), top.dialect.body, None):
            _checked(row, len(top.names), line, path)
            for held, place in zip(found, words, strict=True):
                held.add(row[place].strip())
            empty.update(place for place in gaps if row[place].strip() in GAPS)
    return found, empty


def words(path: Path, top: Head, place: int) -> Iterator[str]:
    """The cells of a column one by one."""
    with _text(path) as file:
        for line, row in islice(_rows(file, top.dialect.separator, path), top.dialect.body, None):
            yield _checked(row, len(top.names), line, path)[place].strip()


def read(path: Path, top: Head, numbers: Sequence[int], words: Sequence[int], gaps: bool = False
         ) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Columns of numbers as [rows, columns] and columns of words; a cell that is no number is named by line and column.

    With `gaps` a cell that is empty is NaN.
    """
    import numpy as np

    must_fit(4 * regular_file(path), shown(path))
    flat, width, count = array("d"), len(top.names), 0
    texts: list[list[str]] = [[] for _ in words]
    pick: Any = itemgetter(*numbers) if len(numbers) > 1 else lambda row: tuple(row[place] for place in numbers)
    names = [top.names[place] for place in numbers]
    with _text(path) as file:
        rows = _rows(file, top.dialect.separator, path)
        for line, row in islice(rows, top.dialect.body, None):
            flat.extend(_numbers(pick(_checked(row, width, line, path)), names, line, path, top.dialect.decimal, gaps))
            count += 1
            for held, place in zip(texts, words, strict=True):
                held.append(row[place].strip())
    values = np.asarray(flat, np.float64).reshape(count, len(numbers))
    if values.size:
        _check_doubles(path, top, values, numbers)
    return values, texts


def _numbers(cells: Sequence[str], names: Sequence[str], line: int, path: Path, decimal: str, gaps: bool) -> tuple[float, ...]:
    """The numbers of a row; the usual case first."""
    joined = "".join(cells)
    if decimal == "." and joined.isascii() and "_" not in joined:
        try:
            values = tuple(map(float, cells))
        except ValueError:
            values = (math.nan,)
        if math.isfinite(sum(values)):
            return values
    return _strictly(cells, names, line, path, decimal, gaps)


def _strictly(cells: Sequence[str], names: Sequence[str], line: int, path: Path, decimal: str, gaps: bool) -> tuple[float, ...]:
    """The numbers of a row, or the message about its first bad cell."""
    values = []
    for cell, name in zip(cells, names, strict=True):
        value = math.nan if gaps and cell.strip() in GAPS else number(cell, decimal)
        if value is None:
            held = f"holds {shown(cell)!r}, which is not a finite number" if cell.strip() else "is empty"
            remedy = REMEDY if cell.strip() in GAPS else "mend or remove the row, or leave the column out (columns)"
            other = {".": ",", ",": "."}[decimal]
            marked = number(cell, other) is not None
            raise fault(NOT_FINITE, f"{shown(path)}, line {line}, column {shown(name)}: the cell {held}"
                        + (f" where the decimal mark is {decimal!r}" if marked else ""),
                        f"decimal: {other!r}" if marked else Hint(remedy))
        values.append(value)
    return tuple(values)


def _check_doubles(path: Path, top: Head, values: NDArray[np.float64], numbers: Sequence[int]) -> None:
    """Refuses columns of whole numbers so large that double precision merged many of them."""
    import numpy as np

    large = [place for column, place in enumerate(numbers) if (np.abs(values[:, column]) >= EXACT).any()]
    if not large:
        return
    found: list[set[int]] = [set() for _ in large]
    with _text(path) as file:
        rows = islice(_rows(file, top.dialect.separator, path), top.dialect.body, max(ROWS, LOOKED_AT // len(large)))
        for _, row in rows:
            for held, place in zip(found, large, strict=True):
                if row[place].strip().lstrip("+-").isdecimal():
                    held.add(int(row[place]))
    for held, place in zip(found, large, strict=True):
        after = len(set(map(float, held)))
        if after < KEPT * len(held):
            raise beyond_doubles(shown(path), f"column {shown(top.names[place])}", len(held), after)
