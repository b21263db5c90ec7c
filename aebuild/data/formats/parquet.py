"""Parquet tables, through pyarrow."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ENDING = ".parquet"


class ParquetTable:
    """An open Parquet file; a group of rows is a row group."""

    def __init__(self, path: Path) -> None:
        self._file: Any = importlib.import_module("pyarrow.parquet").ParquetFile(path)
        self.fields: Sequence[Any] = list(self._file.schema_arrow)

    def __enter__(self) -> ParquetTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def groups(self) -> tuple[int, ...]:
        """The rows of each row group, from the metadata."""
        return tuple(int(self._file.metadata.row_group(group).num_rows) for group in range(self._file.num_row_groups))

    def group(self, number: int, columns: Sequence[str]) -> Any:
        """A row group as a table."""
        return self._file.read_row_group(number, columns=list(columns), use_threads=False)

    def batches(self, most: int, columns: Sequence[str]) -> Iterator[Any]:
        """The rows as record batches of so many at most."""
        yield from self._file.iter_batches(batch_size=most, columns=list(columns))

    def read(self, columns: Sequence[str]) -> Any:
        """Columns as one table."""
        return self._file.read(columns=list(columns))
