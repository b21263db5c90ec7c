"""Tables stored by columns, of Parquet and of Arrow, through pyarrow: in memory, or read from disk by groups of rows."""

from __future__ import annotations

import importlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from aebuild.data.column_checks import check_doubles
from aebuild.data.errors import fault, listed, must_fit, reading, reason_of, regular_file, shown
from aebuild.data.formats import arrow, parquet
from aebuild.data.formats.empty_cells import GAPS, REMEDY
from aebuild.data.rules import DAMAGED, DISAGREE, EXTRA, NOT_FINITE, TOO_FEW
from aebuild.lang.diagnostics import Hint
from aebuild.lang.sample_storage import WINDOW
from aebuild.lang.values import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENDINGS = (parquet.ENDING, *arrow.ENDINGS)
READ = 1 << 14            # rows that are words at a time
NUMERIC = ("int", "uint", "float", "double", "half", "bool", "decimal")


class Columnar(Protocol):
    """An open file of columns; its rows come in groups that are read together. `fields` are pyarrow's."""

    fields: Sequence[Any]

    @property
    def groups(self) -> tuple[int, ...]:
        """The rows of each group."""
        ...

    def group(self, number: int, columns: Sequence[str]) -> Any:
        """A group as a table."""
        ...

    def batches(self, most: int, columns: Sequence[str]) -> Iterator[Any]:
        """The rows as record batches of so many at most."""
        ...

    def read(self, columns: Sequence[str]) -> Any:
        """Columns as one table."""
        ...


@contextmanager
def _opened(path: Path) -> Iterator[Columnar]:
    """The open file; pyarrow's own errors become one message."""
    regular_file(path)
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
    except ImportError as error:
        raise fault(EXTRA, f"{shown(path)} needs the package pyarrow, which is not installed", Hint("pip install pyarrow")) from error
    kind = "parquet" if path.suffix.lower() == parquet.ENDING else "Arrow"
    with reading(path):
        try:
            with parquet.ParquetTable(path) if kind == "parquet" else arrow.ArrowTable(path) as file:
                yield file
        except (pyarrow.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
            raise fault(DAMAGED, f"{shown(path)} is a damaged {kind} file: {reason_of(error)}") from error


def parts_of(path: Path) -> list[Path]:
    """The files of a table: itself, or every file of columns of a folder in the order of their names."""
    with reading(path):
        if not path.is_dir():
            return [path]
        found = sorted(inner for inner in path.iterdir() if inner.suffix.lower() in ENDINGS and not inner.name.startswith("."))
    if not found:
        raise fault(TOO_FEW, f"{shown(path)} holds no {parquet.ENDING} or {arrow.ENDINGS[0]} file")
    return found


def head(path: Path) -> tuple[dict[str, bool], tuple[int, ...]]:
    """Column names with whether each holds numbers, and the rows of each file; from the metadata."""
    names: dict[str, bool] | None = None
    rows = []
    for file in (files := parts_of(path)):
        with _opened(file) as table:
            found = _columns(file, table.fields)
            rows.append(sum(table.groups))
        if names is not None and found != names:
            raise fault(DISAGREE, f"{shown(file)} has other columns than {shown(files[0])}: {listed(found)}; {listed(names)}")
        names = found
    return names or {}, tuple(rows)


def flags(path: Path) -> tuple[str, ...]:
    """The columns of truth values."""
    with _opened(parts_of(path)[0]) as table:
        return tuple(field.name for field in table.fields if str(field.type) == "bool")


def _columns(path: Path, fields: Sequence[Any]) -> dict[str, bool]:
    names = {field.name: str(field.type).startswith(NUMERIC) for field in fields}
    if len(names) < len(fields):
        raise fault(DAMAGED, f"{shown(path)} has two columns of one name")
    return names


def sample(path: Path, name: str, most: int = 1000) -> list[str]:
    """The first cells of a column as words."""
    cells: list[str] = []
    for file in parts_of(path):
        with _opened(file) as table:
            for batch in table.batches(most, [name]):
                cells += _words(batch.column(0))
                if len(cells) >= most:
                    return cells[:most]
    return cells


def words(path: Path, name: str) -> Iterator[str]:
    """The cells of a column one by one, as words."""
    for file in parts_of(path):
        with _opened(file) as table:
            for batch in table.batches(READ, [name]):
                yield from _words(batch.column(0))


def check(path: Path, names: Sequence[str], gaps: bool, most: int = 1000) -> None:
    """Refuses a cell of the first rows that is no number."""
    file, seen = parts_of(path)[0], 0
    with _opened(file) as opened:
        for batch in opened.batches(most, names):
            _stacked(importlib.import_module("pyarrow").Table.from_batches([batch]), dict.fromkeys(names, numbers_of(gaps)), file, seen)
            seen += int(batch.num_rows)
            if seen >= most:
                return


def survey(path: Path, names: Sequence[str], words: Sequence[int], gaps: Sequence[int]) -> tuple[list[set[str]], set[int]]:
    """The different words of some columns, and which of others hold an empty cell; both are read to the end."""
    found: list[set[str]] = [set() for _ in words]
    empty: set[int] = set()
    for file in parts_of(path):
        with _opened(file) as opened:
            asked = dict.fromkeys([*words, *gaps])
            for group in range(len(opened.groups)):
                table = opened.group(group, [names[place] for place in asked])
                cells = {place: set(_words(table.column(names[place]).unique())) for place in asked}
                for held, place in zip(found, words, strict=True):
                    held |= cells[place]
                empty.update(place for place in gaps if not GAPS.isdisjoint(cells[place]))
    return found, empty


def read(path: Path, names: Sequence[str], numbers: Sequence[int], words: Sequence[int], gaps: bool = False
         ) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Columns of numbers as [rows, columns] and columns of words; a cell that is not finite is named, empty ones are NaN with `gaps`."""
    import numpy as np

    must_fit(8 * sum(head(path)[1]) * (len(numbers) + len(words)), shown(path), "stream: true")
    blocks: list[NDArray[np.float64]] = []
    texts: list[list[str]] = [[] for _ in words]
    for file in parts_of(path):
        with _opened(file) as opened:
            table = opened.read([names[place] for place in [*numbers, *words]])
            blocks.append(_stacked(table, {names[place]: partial(_numbers, gaps=gaps) for place in numbers}, file))
            for held, place in zip(texts, words, strict=True):
                held.extend(_words(table.column(names[place])))
    return np.concatenate(blocks) if len(blocks) > 1 else blocks[0], texts


Reader = Callable[[Any, str, Path, int], "NDArray[np.float64]"]        # a column, its name, its file and its first row there


def _stacked(table: Any, readers: Mapping[str, Reader], path: Path, start: int = 0) -> NDArray[np.float64]:
    import numpy as np

    columns = [read(table.column(name), name, path, start) for name, read in readers.items()]
    return np.stack(columns, axis=1) if columns else np.empty((int(table.num_rows), 0))


class RowGroups:
    """Columns of numbers of a table that stays on disk, read by groups of rows; the last ones are kept.

    As many are kept as two windows of the order can touch, so that each is read once a pass.
    """

    def __init__(self, path: Path, readers: Mapping[str, Reader]) -> None:
        self.readers = readers
        self.groups: list[tuple[Path, int]] = []
        sizes: list[int] = []
        for file in parts_of(path):
            with _opened(file) as opened:
                self.groups += [(file, group) for group in range(len(opened.groups))]
                sizes += opened.groups
        self.starts = [0, *accumulate(sizes)]
        begun = {file: start for start, (file, _) in reversed(list(zip(self.starts, self.groups, strict=False)))}
        self._begun = [begun[file] for file, _ in self.groups]              # the first row of each group's file
        self._most = 2 * (WINDOW + max(sizes, default=0))
        self._kept: OrderedDict[int, NDArray[np.float64]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return self.starts[-1]

    def take(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows [n, columns] in the order of the index."""
        import numpy as np

        places = np.searchsorted(self.starts, index, side="right") - 1
        rows = np.empty((len(index), len(self.readers)))
        with self._lock:
            for place in np.unique(places).tolist():
                chosen = places == place
                rows[chosen] = self._group(place)[index[chosen] - self.starts[place]]
        return rows

    def name(self, row: int) -> str:
        """File and row."""
        place = bisect_right(self.starts, row) - 1
        file = self.groups[place][0]
        return f"{shown(file)}, row {row - self._begun[place]}"

    def _group(self, place: int) -> NDArray[np.float64]:
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        file, group = self.groups[place]
        with _opened(file) as opened:
            table = opened.group(group, list(self.readers))
            rows = self._kept[place] = _stacked(table, self.readers, file, self.starts[place] - self._begun[place])
        while sum(map(len, self._kept.values())) > self._most and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return rows


@dataclass
class Columns:
    """Some of the columns of a table on disk, as samples."""

    table: RowGroups
    chosen: slice

    def __len__(self) -> int:
        return len(self.table)

    def take(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows [n, columns]."""
        return self.table.take(index)[:, self.chosen]

    def name(self, row: int) -> str:
        """File and row."""
        return self.table.name(row)

    def blocks(self) -> NDArray[np.int64]:
        """The groups of rows."""
        import numpy as np

        return np.asarray(self.table.starts, np.int64)

    def sources(self) -> Sequence[Path]:
        """The files of the table."""
        return [file for file, _ in self.table.groups]


def numbers_of(gaps: bool) -> Reader:
    """Reads a column of numbers; a cell that is empty or not finite is named, or empty ones are NaN where there may be gaps."""
    return partial(_numbers, gaps=gaps)


def words_as(codes: Callable[[Sequence[str], int], NDArray[np.float64]]) -> Reader:
    """Reads a column of words as the numbers that `codes` makes of them, from the row that the first of them stands in."""
    return lambda column, name, path, start: codes(_words(column), start)


def _numbers(column: Any, name: str, path: Path, start: int, gaps: bool) -> NDArray[np.float64]:
    import numpy as np

    if str(column.type) in ("int64", "uint64"):
        check_doubles(column.drop_null().to_numpy()[:, None], Vector(1), [name], shown(path))
    values = np.asarray(column.cast("float64", safe=False).to_numpy(), np.float64)
    bad = np.flatnonzero(np.isinf(values) if gaps else ~np.isfinite(values))
    if len(bad):
        held = "is empty" if column[int(bad[0])].as_py() is None else f"holds {values[bad[0]]}, which is not a finite number"
        raise fault(NOT_FINITE, f"{shown(path)}, row {start + bad[0]}, column {shown(name)}: the cell {held}",
                    Hint("mend or remove the row, or leave the column out (columns)" if np.isinf(values[bad[0]]) else REMEDY))
    return values


def _words(column: Any) -> list[str]:
    if str(column.type).startswith(("timestamp", "date", "time")):
        column = column.cast("string")
    return ["" if value is None else _word(value) for value in column.to_pylist()]


def _word(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value == int(value) else str(value)
    return str(int(value)) if isinstance(value, bool) else str(value).strip()
