"""How a text table is written: separator, decimal mark, line of names; told from many rows."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
GUESSED = ",;\t|"
ROWS = 1000
CELLS = 10_000                    # that are looked at one by one
UNNAMED = "unnamed"
_COMMA = re.compile(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*")
_MARK = re.compile(r"sep=([,;\t|])\r?\n")
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(,\d{3})+\s*")

Row = tuple[int, list[str]]       # the line it ends in, and its cells


@dataclass(frozen=True)
class Asked:
    """What the spec says of a table's writing; None is found out."""

    separator: str | None = None
    decimal: str | None = None
    header: bool | None = None
    index: bool | None = None


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    `guesses` are sentences about what is not plain; a table may be `marked` by a first line `sep=;`, as Excel writes it.
    """

    separator: str
    decimal: str
    titled: bool
    guesses: tuple[str, ...] = ()
    marked: bool = False

    @property
    def body(self) -> int:
        """Rows in front of the first sample."""
        return int(self.marked) + int(self.titled)


def number(cell: str, decimal: str = ".") -> float | None:
    """The finite number that a cell holds, if it does; `1_000` and digits of other scripts are none."""
    if not cell.isascii() or "_" in cell:
        return None
    if decimal == ",":
        if "." in cell:
            return None
        cell = cell.replace(",", ".")
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def counts(cells: Sequence[str]) -> bool:
    """True if cells are whole numbers, each one more than the one before."""
    if not all(cell.strip().isascii() and cell.strip().isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    return all(after == before + 1 for before, after in pairwise(numbers))


def find_dialect(text: str, asked: Asked) -> tuple[Dialect, list[Row]]:
    """The dialect of a table that begins with this text, and the rows of the text."""
    mark = _MARK.match(text)
    candidates = {separator: rows_of(text, separator)[bool(mark):] for separator in (asked.separator or (mark and mark[1]) or GUESSED)}
    separator = _best(candidates, asked)
    if asked.separator is None and not _merit(candidates[separator], separator, asked.decimal)[0]:
        candidates[" "] = rows_of(text, " ")
        wide, even, numbers, _ = _merit(candidates[" "], " ", asked.decimal)
        separator = " " if wide and even > 0.9 and numbers > 0.5 else separator
    rows = candidates[separator]
    decimal = asked.decimal or _decimal(rows, separator)
    guesses = [] if decimal == "." or asked.decimal else ["numbers have a decimal comma (`decimal: \".\"` reads them otherwise)"]
    titled, doubt = (asked.header, "") if asked.header is not None else _titled([row for _, row in rows], decimal)
    return Dialect(separator, decimal, titled, (*guesses, *([doubt] if doubt else [])), bool(mark)), rows


def _best(candidates: dict[str, list[Row]], asked: Asked) -> str:
    return max(candidates, key=lambda separator: _merit(candidates[separator], separator, asked.decimal))


def rows_of(text: str, separator: str) -> list[Row]:
    """The first rows, up to where they cannot be read."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    try:
        for row in reader:
            if row:
                rows.append((reader.line_num, row))
            if len(rows) > ROWS:
                break
    except csv.Error:
        pass
    return rows


def _merit(rows: list[Row], separator: str, decimal: str | None) -> tuple[bool, float, float, int]:
    """How well a separator explains the rows: by rows of one width, then by cells that are numbers."""
    widths = Counter(len(row) for _, row in rows)
    if not widths:
        return (False, 0.0, 0.0, 0)
    width, count = widths.most_common(1)[0]
    if separator == "," and len(rows[0][1]) == 1 and all(_COMMA.fullmatch(",".join(row)) for _, row in rows[1:]):    # one column
        return (False, 0.0, 0.0, 0)
    cells = [cell for _, row in rows[:max(20, CELLS // width)] for cell in row]
    mark = decimal or _decimal(rows, separator)
    numbers = sum(number(cell, mark) is not None for cell in cells)
    return (width > 1, count / len(rows), numbers / len(cells), width)


def _decimal(rows: list[Row], separator: str) -> str:
    """A comma if numbers are written with one and none with a dot; a dot else."""
    found = False
    for _, row in rows:
        for cell in row:
            if "," in cell and _COMMA.fullmatch(cell):
                if separator == "," and _THOUSANDS.fullmatch(cell):
                    return "."
                found = True
            elif "." in cell and number(cell) is not None:
                return "."
    return "," if found else "."


def _titled(rows: list[list[str]], decimal: str) -> tuple[bool, str]:
    """Whether the first row holds names, and the sentence about it where that is not plain."""
    if not rows:
        return False, ""
    first, body = rows[0], rows[1:]
    names = [number(cell, decimal) is None for cell in first]
    if not any(names):
        counted = _counts_on(first, body)
        return counted, "the first line only counts and is read as names (`header: false` reads it as a sample)" if counted else ""
    wide = [row for row in body[:max(20, CELLS // len(first))] if len(row) == len(first)]
    numeric = [place for place in range(len(first)) if wide and all(number(row[place], decimal) is not None for row in wide)]
    if len(first) == 1 or not numeric or any(names[place] for place in numeric):
        return True, ""
    words = [place for place, cell in enumerate(first) if names[place] and cell.strip()]
    if any(row[place] == first[place] for row in wide for place in words):
        return False, "the first line holds values like those below and is read as a sample (`header: true` reads it as names)"
    return True, "the first line holds numbers but is read as names (`header: false` reads it as a sample)"


def _counts_on(first: list[str], body: list[list[str]]) -> bool:
    """True if a line counts 0, 1, 2, ... or 1, 2, 3, ... and the lines below are of another kind."""
    if len(first) < 2 or not body or first in body or not all(cell.strip().isdecimal() for cell in first):
        return False
    values = [int(cell) for cell in first]
    if values[0] not in (0, 1) or any(after != before + 1 for before, after in pairwise(values)):
        return False
    return body[0][0].strip() != str(values[-1] + 1)         # a matrix that only counts on goes on in its second line
