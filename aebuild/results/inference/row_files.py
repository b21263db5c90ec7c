"""Files with a row a sample: .csv, .parquet, .npz and .npy, written batch by batch and whole or not at all."""

from __future__ import annotations

import csv
import importlib
import os
import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from aebuild.data.errors import fault
from aebuild.data.rules import EXTRA
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.trainer.run_dir.atomic_files import storing

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUT = Rule("AE570", "an output that cannot be written so", """\
The ending of the output's name says how it is written, and a file or folder that is there is not written over unless you ask for it.

```console
$ aebuild encode runs/vae -o codes.xlsx            # refused: .csv, .parquet, .npz or .npy
$ aebuild encode runs/vae -o codes.csv --force     # writes over an old codes.csv
```
""")
ROWS = (".csv", ".parquet", ".npz", ".npy")


def refuse(message: str, fix: str | None = None) -> UsageError:
    """An output that cannot be written so."""
    return UsageError(Diagnostic(OUTPUT, message, fix=fix))


def vacant_output(place: Path, endings: Sequence[str], force: bool) -> None:
    """Refuses an output that is there already, or whose ending is none of these; "" is a folder."""
    if place.suffix.lower() not in endings:
        told = ", ".join(ending or "a folder" for ending in endings)
        raise refuse(f"{place} ends in {place.suffix or 'nothing'}; this can be written: {told}")
    if place.exists() and not force:
        raise refuse(f"{place} is there already", "--force")


@contextmanager
def appearing(place: Path) -> Iterator[Path]:
    """A path beside `place` to write to, which takes its name when all is written; ResourceError where the disk refuses."""
    beside = place.with_name(f".{place.stem}.{os.getpid()}.partial{place.suffix}")
    with storing(place, output=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            if place.is_dir():
                shutil.rmtree(place)
            os.replace(beside, place)
        finally:
            if beside.is_dir():
                shutil.rmtree(beside)
            beside.unlink(missing_ok=True)


class RowFile(ABC):
    """A file of rows that is being written."""

    @abstractmethod
    def add(self, **columns: NDArray[Any]) -> None:
        """Further rows: arrays [n, ...] of numbers, by the column's name."""

    def finish(self) -> None:  # noqa: B027  # most have nothing left to do
        """What is to be done when all rows are there."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what is open."""


@contextmanager
def row_file(place: Path, count: int, beside: Mapping[str, Sequence[str]] | None = None) -> Iterator[RowFile]:
    """Opens a file for `count` rows by its ending; `beside` are cells, one a row, which come first."""
    kinds: dict[str, Callable[[Path, int, dict[str, Sequence[str]]], RowFile]] = {
        ".csv": _Csv, ".parquet": _Parquet, ".npz": _Arrays, ".npy": _Arrays}
    with appearing(place) as partial:
        file = kinds[place.suffix.lower()](partial, count, dict(beside or {}))
        try:
            yield file
            file.finish()
        finally:
            file.close()


def flat_columns(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """An array [n, ...] as columns [n], numbered behind the name by their place."""
    if values.ndim == 1:
        return {name: values}
    flat = values.reshape(len(values), -1)
    return {"_".join((name, *map(str, place))): flat[:, column] for column, place in enumerate(product(*map(range, values.shape[1:])))}


class _Csv(RowFile):
    def __init__(self, path: Path, count: int, beside: dict[str, Sequence[str]]) -> None:
        self.file: IO[str] = path.open("w", newline="", encoding="utf-8")
        self.rows, self.beside, self.done = csv.writer(self.file), beside, 0

    def add(self, **columns: NDArray[Any]) -> None:
        flat = {key: held for name, values in columns.items() for key, held in flat_columns(name, values).items()}
        if not self.done:
            self.rows.writerow([*self.beside, *flat])
        count = len(next(iter(flat.values())))
        cells = [held[self.done:self.done + count] for held in self.beside.values()]
        self.rows.writerows(zip(*cells, *(_numbers(held) for held in flat.values()), strict=True))
        self.done += count

    def close(self) -> None:
        self.file.close()


def _numbers(column: NDArray[Any]) -> list[Any]:
    """As text that reads back to the same number of the column's type; NaN is an empty cell."""
    if column.dtype.kind != "f":
        return list(column.tolist())
    return ["" if value != value else np.format_float_positional(value, trim="-") if 1e-4 <= abs(value) < 1e16 or value == 0
            else str(value) for value in column]


class _Parquet(RowFile):
    def __init__(self, path: Path, count: int, beside: dict[str, Sequence[str]]) -> None:
        try:
            self.arrow: Any = importlib.import_module("pyarrow")
            self.parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise fault(EXTRA, f"{path.suffix} needs the package pyarrow, which is not installed", Hint("pip install pyarrow")) from error
        self.path, self.beside, self.done = path, beside, 0
        self.writer: Any = None

    def add(self, **columns: NDArray[Any]) -> None:
        flat = {key: held for name, values in columns.items() for key, held in flat_columns(name, values).items()}
        count = len(next(iter(flat.values())))
        table = self.arrow.table({**{name: list(held[self.done:self.done + count]) for name, held in self.beside.items()}, **flat})
        if self.writer is None:
            self.writer = self.parquet.ParquetWriter(self.path, table.schema)
        self.writer.write_table(table)
        self.done += count

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class _Arrays(RowFile):
    """Each column grows as an .npy in a folder of its own; an .npz is packed from them at the end."""

    def __init__(self, path: Path, count: int, beside: dict[str, Sequence[str]]) -> None:
        self.path, self.count, self.beside, self.done = path, count, beside, 0
        self.folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.stem}"))
        self.columns: dict[str, Any] = {}

    def add(self, **columns: NDArray[Any]) -> None:
        for name, values in columns.items():
            if name not in self.columns:
                shape = (self.count, *values.shape[1:])
                self.columns[name] = np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", values.dtype, shape)
            self.columns[name][self.done:self.done + len(values)] = values
        self.done += len(next(iter(columns.values())))

    def finish(self) -> None:
        for held in self.columns.values():
            held.flush()
        if self.path.suffix.lower() == ".npy":
            os.replace(self.folder / f"{next(iter(self.columns))}.npy", self.path)
            return
        for name, cells in self.beside.items():
            np.save(self.folder / f"{name.replace('/', '_')}.npy", np.asarray(list(cells), dtype=np.str_), allow_pickle=False)
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(self.folder.iterdir()):
                archive.write(file, file.name)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
