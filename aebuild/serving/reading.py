"""From a request to new data of the run, read and scaled as files are."""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.lang.conditioning import Reader
from aebuild.lang.values import Grid
from aebuild.serving.problem import Problem

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.results.open_run import OpenRun

SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/bmp": ".bmp", "image/tiff": ".tif",
            "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/flac": ".flac", "audio/ogg": ".ogg"}
COLOURS = {1: "gray", 3: "rgb", 4: "rgba"}


@dataclass(frozen=True)
class Rows:
    """Rows that name their columns, as a frame: `columns`, and the cells of each."""

    columns: tuple[str, ...]
    cells: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Rows:
        """All columns that any row has."""
        return cls(tuple(dict.fromkeys(name for row in rows for name in row)), tuple(rows))

    def __getitem__(self, name: str) -> Column:
        return Column([row.get(name) for row in self.cells])


@dataclass(frozen=True)
class Column:
    """The cells of a column; None where a row has none."""

    cells: list[Any]

    def to_list(self) -> list[Any]:
        """As a list."""
        return self.cells


def from_values(run: OpenRun, data: Sequence[Any], given: Mapping[str, Any], readers: Sequence[Reader] | None) -> NewData:
    """Numbers, rows by column, or texts."""
    if isinstance(data[0], str):
        return run.new(list(data), given=given, readers=readers)
    columns = run.info.columns or ()
    if isinstance(data[0], Mapping):
        plain = not run.info.range.fields and all(set(row) == set(columns) and not any(isinstance(cell, str) for cell in row.values())
                                                  for row in data)
        if not plain:
            return run.new(Rows.of(data), given=given, readers=readers)
        data = [[row[name] for name in columns] for row in data]
    counts = np.asarray([len(sample) for sample in data], np.int64) if run.info.ragged else None
    if counts is not None:
        empty = [[0.0] * run.info.value.features]
        data = [sample + empty * (run.info.value.places[0] - len(sample)) for sample in data]
    array = np.asarray([_numbers(sample) for sample in data] if isinstance(data[0], Sequence) else data)
    if array.dtype.kind == "f" and not run.info.value.columns and (array == np.rint(array)).all():
        array = array.astype(np.uint8 if array.min() >= 0 and array.max() <= 255 else np.int64)          # JSON has no bytes
    found = run.new(array, given=given, readers=readers)
    if counts is not None:
        found.split.beside["lengths"] = found.split.lengths = counts
    return found


def _numbers(sample: Any) -> Any:
    """NaN where a number is missing."""
    return [_numbers(each) for each in sample] if isinstance(sample, list) else np.nan if sample is None else sample


def from_files(run: OpenRun, files: Sequence[bytes], kind: str, given: Mapping[str, Any], readers: Sequence[Reader] | None, *,
               fit: bool = False) -> NewData:
    """Encoded images or sounds of one media type, read as a folder of files would be; they are gone again afterwards."""
    if kind not in SUFFIXES:
        raise Problem(415, f"a body of {kind or 'no type'} cannot be read; there are application/json and {', '.join(SUFFIXES)}",
                      "header Content-Type")
    settings = []
    value = run.info.value
    if fit and isinstance(value, Grid) and value.features in COLOURS:
        settings = [f"data.size={json.dumps(list(value.places))}", f"data.channels={COLOURS[value.features]}"]
    with tempfile.TemporaryDirectory(prefix="aebuild-upload-") as folder:
        for number, content in enumerate(files):
            Path(folder, f"{number:06d}{SUFFIXES[kind]}").write_bytes(content)
        return in_memory(run.new(folder, settings, given=given, readers=readers))


def from_base64(texts: Sequence[str]) -> tuple[list[bytes], str]:
    """The files that texts stand for, and the media type of the first; Problem for what is not base64."""
    files = []
    for number, text in enumerate(texts):
        try:
            files.append(base64.b64decode(text.partition("base64,")[2] if text.startswith("data:") else text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Problem(422, f"it is no base64: {error}", f"body.images.{number}") from error
    return files, _media_type(files[0]) if files else "image/png"


def _media_type(content: bytes) -> str:
    """By its first bytes."""
    return "image/jpeg" if content[:2] == b"\xff\xd8" else "image/webp" if content[8:12] == b"WEBP" else "image/png"


def in_memory(data: NewData) -> NewData:
    """The same with every sample read."""
    from dataclasses import replace

    split = data.split.taken(np.arange(len(data)))
    return replace(data, split=split)
