"""Tables: the columns of .csv, .tsv, .parquet and .arrow files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.data.errors import fault, listed, shown, similar
from aebuild.data.formats import columnar, csv
from aebuild.data.formats.csv_dialect import SEPARATORS, UNNAMED, Asked, counts, number
from aebuild.data.formats.empty_cells import GAPS
from aebuild.data.rules import NO_SUCH_NAME, UNFIT
from aebuild.lang.dataset import Column, Tabular
from aebuild.lang.diagnostics import Hint
from aebuild.lang.emit import emit
from aebuild.lang.part import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PANDAS_INDEX = re.compile(r"__index_level_\d+__")           # what pandas calls an index without a name in a .parquet
IDENTIFIER = re.compile(r"(.*[^A-Za-z])?(id|ID|Id)|.*[a-z](Id|ID)")
ROW_NUMBERS = ("index", "unnamed: 0", "rownames")          # what libraries call a column that counts the rows


@dataclass(frozen=True)
class Sheet:
    """What the head of a table tells: column names, which hold numbers, and rows where known.

    `left` are the columns that are no inputs by themselves, `notes` what was guessed, `flags` columns of truth values.
    """

    path: Path
    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: int | None
    style: str
    commas: csv.Head | None = None
    notes: tuple[str, ...] = ()
    left: tuple[int, ...] = ()
    flags: tuple[int, ...] = ()

    def told(self, note: str) -> Sheet:
        """The same with a further sentence for the user."""
        return replace(self, notes=(*self.notes, f"{shown(self.path.name)}: {note}"))

    def sample(self, place: int) -> list[str]:
        """The first cells of a column."""
        if self.commas is not None:
            return self.commas.cells(place)
        return columnar.sample(self.path, self.names[place])

    def find(self, column: Column, part: Part, *fields: str) -> int:
        """The place of a column, by name or else by number."""
        same = [place for place, name in enumerate(self.names) if name == str(column)]
        if len(same) == 1:
            return same[0]
        if not same and isinstance(column, int) and column < len(self.names):
            return column
        near = similar(column, self.names)
        raise fault(NO_SUCH_NAME, f"{self.path.name} has {'two columns' if same else 'no column'} named {str(column)!r}; "
                    f"its columns are {listed(self.names, 12)}", near and f"{fields[0]}: {_mended(part, fields[0], column, near)}",
                    part=part, at=fields)

    def find_all(self, columns: Sequence[Column], part: Part, *fields: str) -> list[int]:
        """The places of columns, none of them twice."""
        places = [self.find(column, part, *fields) for column in columns]
        for place in places:
            if places.count(place) > 1:
                raise fault(UNFIT, f"`{fields[0]}` names the column {self.names[place]!r} twice", part=part, at=fields)
        return places

    def read(self, numbers: Sequence[int], words: Sequence[int] = (), gaps: bool = False) -> tuple[NDArray[np.float64], list[list[str]]]:
        """Columns of numbers [rows, columns], and columns of words as lists; an empty cell is NaN where there may be `gaps`."""
        if self.commas is not None:
            return csv.read(self.path, self.commas, numbers, words, gaps)
        return columnar.read(self.path, self.names, numbers, words, gaps)

    def survey(self, words: Sequence[int], gaps: Sequence[int]) -> tuple[list[set[str]], set[int]]:
        """The different words of some columns, and which of others hold an empty cell; they are read to the end."""
        if not words and not gaps:
            return [], set()
        if self.commas is not None:
            return csv.survey(self.path, self.commas, words, gaps)
        return columnar.survey(self.path, self.names, words, gaps)


def named_by_number(sheet: Sheet, part: Part, **places: int | None) -> dict[str, str]:
    """The names of the columns that options of the spec count, by option: a new table may have them elsewhere."""
    return {option: sheet.names[place] for option, place in places.items() if place is not None and isinstance(getattr(part, option), int)}


def _mended(part: Part, field: str, wrong: Column, right: str) -> str:
    """What to write under `field`: the right name, in the list where one is written."""
    written = getattr(part, field, None)
    names = [right if column == wrong else str(column) for column in written] if isinstance(written, list) else None
    return quoted(right) if names is None else f"[{', '.join(map(quoted, names))}]"


def open_sheet(path: Path, part: Tabular) -> Sheet:
    """The head of a table; of a .csv the first rows are read, of a file of columns its metadata."""
    if path.suffix.lower() in columnar.ENDINGS or path.is_dir():
        refuse_keys(part, path, "separator", "decimal", "header")
        columns, rows = columnar.head(path)
        ending = columnar.parts_of(path)[0].suffix.lower()
        style = ending[1:] if not path.is_dir() else f"in {len(rows):,} {ending} file{'s' if len(rows) != 1 else ''}"
        flags = tuple(list(columns).index(name) for name in columnar.flags(path))
        return Sheet(path, tuple(columns), tuple(columns.values()), sum(rows), style, flags=flags)
    head = csv.head(path, Asked(part.separator, part.decimal, part.header))
    style = (f"separated by {SEPARATORS[head.dialect.separator]}" + (", with a decimal comma" if head.dialect.decimal == "," else "")
             + ("" if head.dialect.titled else ", without a line of names"))
    sheet = Sheet(path, head.names, head.numeric, None, style, head)
    for guess in head.dialect.guesses:
        sheet = sheet.told(guess)
    return sheet


def refuse_keys(part: Tabular, path: Path, *keys: str) -> None:
    """Refuses keys about text tables where the data are none."""
    for key in keys:
        if getattr(part, key) is not None:
            kind = path.suffix.lower() or "a folder"
            raise fault(UNFIT, f"`{key}` is for text tables, and {shown(path.name)} is {kind}", f"remove {key}", part=part, at=(key,))


def row_numbers(sheet: Sheet, part: Tabular, columns: Sequence[Column] | None) -> Sheet:
    """The sheet without a column that only numbers or names its rows, as pandas and R write it."""
    if columns is not None and part.index is not None:
        raise fault(UNFIT, "`columns` says already whether the first column is an input", "remove index", part=part, at=("index",))
    if columns is not None or len(sheet.names) < 2 or part.index is False:
        return sheet
    if part.index:
        return replace(sheet, left=(0,))
    if kept := tuple(place for place, name in enumerate(sheet.names) if PANDAS_INDEX.fullmatch(name)):
        return replace(sheet, left=kept).told(f"pandas' index, {listed(sheet.names[place] for place in kept)}, is left out "
                                              "(`index: false` keeps it)")
    name, cells = sheet.names[0], [cell.strip() for cell in sheet.sample(0)]
    unnamed = sheet.commas is not None and sheet.commas.dialect.titled and name in ("0", f"{UNNAMED} 0")
    counted = len(cells) > 2 and counts(cells)
    if not (counted and name.lower() in ROW_NUMBERS) and not is_identifier(name, cells) and not (unnamed and (counted or _identify(cells))):
        return sheet.told(f"the first column, {shown(name)}, only counts the rows but is an input (`index: true` leaves it out)"
                          ) if counted else sheet
    called = "without a name" if unnamed else shown(name)
    return replace(sheet, left=(0,)).told(f"the first column, {called}, only numbers or names the rows and is left out "
                                          "(`index: false` keeps it)")


def is_identifier(name: str, cells: Sequence[str]) -> bool:
    """True for whole numbers, no two the same, that are called an id."""
    plain = [cell.strip() for cell in cells]
    return bool(IDENTIFIER.fullmatch(name)) and all(cell.isdecimal() for cell in plain) and len(set(plain)) == len(plain)


def _identify(cells: Sequence[str]) -> bool:
    """True if cells are whole numbers or words, no two the same."""
    plain = all(cell.isdecimal() for cell in cells) or all(number(cell) is None for cell in cells)
    return plain and len(set(cells)) == len(cells)


def inputs(sheet: Sheet, part: Part, columns: Sequence[Column] | None, target: Sequence[Column], label: Column | None,
           skip: Sequence[int] = ()) -> tuple[list[int], list[int], int | None]:
    """The places of the input columns, the target columns and the label."""
    label_at = None if label is None else sheet.find(label, part, "label")
    targets = sheet.find_all(target, part, "target")
    taken = {*targets, *skip, *([] if label_at is None else [label_at])}
    if columns is None:
        chosen = [place for place in range(len(sheet.names)) if place not in taken]
    else:
        chosen = sheet.find_all(columns, part, "columns")
    if not chosen:
        why = "; ".join(note.removeprefix(f"{shown(sheet.path.name)}: ") for note in sheet.notes)
        raise fault(NO_SUCH_NAME, f"{shown(sheet.path.name)} has no column left to be the input{': ' if why else ''}{why}",
                    Hint("a table with columns of numbers, of truth values, or of few different words"), part=part, at=("columns",))
    if label_at is not None and label_at in [*chosen, *targets]:
        raise fault(UNFIT, f"the label column {sheet.names[label_at]!r} is among the inputs or targets too", part=part,
                    at=("columns", "label"))
    return chosen, targets, label_at


def quoted(name: str) -> str:
    """A column's name as YAML, within a list or mapping on one line."""
    text = emit({"k": [name]}).strip()
    return text[4:-1] if text.startswith("k: [") and "\n" not in text else json.dumps(name)


def _columns_fix(names: Sequence[str]) -> str:
    """The key `columns` with these names, as YAML to paste."""
    return f"columns: [{', '.join(map(quoted, names))}]"


def numbers_only(sheet: Sheet, places: Sequence[int], part: Tabular) -> None:
    """Refuses columns whose first rows hold words, and cells there that are no numbers."""
    filled = part.missing != "error"
    words = [sheet.names[place] for place in places if not sheet.numeric[place]
             and not (filled and all(cell.strip() in GAPS for cell in sheet.sample(place)))]
    if words:
        numeric = [sheet.names[place] for place in places if sheet.numeric[place]]
        raise fault(UNFIT, f"{sheet.path.name}: {'the column' if len(words) == 1 else 'the columns'} {listed(words)} "
                    f"{'does' if len(words) == 1 else 'do'} not hold numbers",
                    _columns_fix(numeric) if 0 < len(numeric) <= 20 else Hint("name the columns to use under columns"),
                    part=part, at=("columns", "path"))
    if sheet.commas is not None:
        csv.check(sheet.path, sheet.commas, places, filled)
    else:
        columnar.check(sheet.path, [sheet.names[place] for place in places], filled)
