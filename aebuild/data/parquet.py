"""Parquet tables, through pyarrow."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.faults import fault, must_fit, reading, reason_of, regular_file, shown
from aebuild.data.rules import DAMAGED, EXTRA, NOT_FINITE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open file; pyarrow's own errors become one message."""
    regular_file(path)
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise fault(EXTRA, f"{shown(path)} needs the package pyarrow, which is not installed", "pip install pyarrow") from error
    with reading(path):
        try:
            with parquet.ParquetFile(path) as file:
                yield file
        except (pyarrow.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
            raise fault(DAMAGED, f"{shown(path)} is a damaged parquet file: {reason_of(error)}") from error


def head(path: Path) -> tuple[dict[str, bool], int]:
    """Column names with whether each holds numbers, and the number of rows; from the metadata."""
    with _opened(path) as file:
        fields = list(file.schema_arrow)
        names = {field.name: str(field.type).startswith(("int", "uint", "float", "double", "half", "bool")) for field in fields}
        if len(names) < len(fields):
            raise fault(DAMAGED, f"{shown(path)} has two columns of one name")
        return names, int(file.metadata.num_rows)


def read(path: Path, names: Sequence[str], numbers: Sequence[int], words: Sequence[int]) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Columns of numbers as [rows, columns] and columns of words; an empty or non-finite cell is named."""
    import numpy as np

    with _opened(path) as file:
        rows = int(file.metadata.num_rows)
        must_fit(8 * rows * (len(numbers) + len(words)), shown(path))
        table = file.read(columns=[names[place] for place in [*numbers, *words]])
        columns = [_numbers(table.column(names[place]), names[place], path) for place in numbers]
        texts = [_words(table.column(names[place])) for place in words]
    return np.stack(columns, axis=1) if columns else np.empty((rows, 0)), texts


def _numbers(column: Any, name: str, path: Path) -> NDArray[np.float64]:
    import numpy as np

    values = np.asarray(column.cast("float64", safe=False).to_numpy(), np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        held = "is empty" if column[int(bad[0])].as_py() is None else f"holds {values[bad[0]]}, which is not a finite number"
        raise fault(NOT_FINITE, f"{shown(path)}, row {bad[0]}, column {shown(name)}: the cell {held}",
                    "fill or remove the row, or leave the column out (columns)")
    return values


def _words(column: Any) -> list[str]:
    return ["" if value is None else _word(value) for value in column.to_pylist()]


def _word(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value == int(value) else str(value)
    return str(int(value)) if isinstance(value, bool) else str(value).strip()
