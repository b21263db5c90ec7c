"""Tables: the columns of .csv, .tsv and .parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.data import commas, parquet
from aebuild.data.faults import fault, listed, similar
from aebuild.data.rules import NO_SUCH_NAME, UNFIT
from aebuild.lang.dataset import Column
from aebuild.lang.part import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sheet:
    """What the head of a table tells: column names, which hold numbers, and rows where known."""

    path: Path
    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: int | None
    style: str
    commas: commas.Head | None = None

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

    def read(self, numbers: Sequence[int], words: Sequence[int] = ()) -> tuple[NDArray[np.float64], list[list[str]]]:
        """Columns of numbers [rows, columns], and columns of words as lists."""
        if self.commas is not None:
            return commas.read(self.path, self.commas, numbers, words)
        return parquet.read(self.path, self.names, numbers, words)


def _mended(part: Part, field: str, wrong: Column, right: str) -> str:
    """What to write under `field`: the right name, in the list where one is written."""
    written = getattr(part, field, None)
    return f"[{', '.join(right if column == wrong else str(column) for column in written)}]" if isinstance(written, list) else right


def open_sheet(path: Path) -> Sheet:
    """The head of a table; of a .csv the first rows are read, of a .parquet its metadata."""
    if path.suffix.lower() == parquet.ENDING or path.is_dir():
        columns, rows = parquet.head(path)
        style = parquet.ENDING[1:] if not path.is_dir() else f"in {len(rows):,} {parquet.ENDING} file{'s' if len(rows) != 1 else ''}"
        return Sheet(path, tuple(columns), tuple(columns.values()), sum(rows), style)
    head = commas.head(path)
    separator = {"\t": "tabs", ",": "commas", ";": "semicolons"}[head.separator]
    return Sheet(path, head.names, head.numeric, None, f"separated by {separator}" + ("" if head.titled else ", without a line of names"),
                 head)


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
        raise fault(NO_SUCH_NAME, f"{sheet.path.name} has no column left to be the input", part=part, at=("columns",))
    if label_at is not None and label_at in [*chosen, *targets]:
        raise fault(UNFIT, f"the label column {sheet.names[label_at]!r} is among the inputs or targets too", part=part,
                    at=("columns", "label"))
    return chosen, targets, label_at


def numbers_only(sheet: Sheet, places: Sequence[int], part: Part) -> None:
    """Refuses columns whose first rows hold words."""
    words = [sheet.names[place] for place in places if not sheet.numeric[place]]
    if words:
        numeric = [name for name, number in zip(sheet.names, sheet.numeric, strict=True) if number]
        raise fault(UNFIT, f"{sheet.path.name}: {'the column' if len(words) == 1 else 'the columns'} {listed(words)} "
                    f"{'does' if len(words) == 1 else 'do'} not hold numbers",
                    f"columns: [{', '.join(numeric)}]" if 0 < len(numeric) <= 20 else "name the columns to use under columns",
                    part=part, at=("columns", "path"))
