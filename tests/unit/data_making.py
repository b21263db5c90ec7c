"""What the tests of data share: parts by name, and the one diagnostic of a refusal."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import DataInfo, Dataset, Division, Holdout, Where
from aebuild.lang.diagnostics import DataError, Diagnostic
from aebuild.lang.splits import Splits
from aebuild.parts import discover

discover()
REAL = os.environ.get("AEBUILD_DATA")
needs_real_data = pytest.mark.usefixtures("real_data")


def part_of(variant: str, **fields: Any) -> Any:
    """A dataset part; `split` may be a plain mapping."""
    kind = Dataset.variants[variant]
    split = fields.get("split")
    if isinstance(split, dict):
        fields["split"] = (Holdout if variant in ("mnist", "fashion_mnist", "cifar10", "ecg5000") else Division)(**split)
    return kind(**fields)


def load(variant: str, base: Path, **fields: Any) -> Splits:
    """The loaded splits, after checking that probe promised the same."""
    part = part_of(variant, **fields)
    where = Where(base)
    promised, splits = part.probe(where), load_splits(part, where)
    agree(promised, splits.info)
    return splits


def agree(promised: DataInfo, found: DataInfo) -> None:
    """Everything that the headers tell must be so."""
    for name in ("value", "target", "range", "target_range", "scale", "labelled", "columns", "target_columns"):
        assert getattr(promised, name) == getattr(found, name), name
    assert promised.classes in (None, found.classes)
    for name, count in promised.counts.items():
        assert count in (None, found.counts[name]), name


def refusal(variant: str, base: Path, **fields: Any) -> Diagnostic:
    """The single diagnostic that loading ends in."""
    with pytest.raises(DataError) as caught:
        load_splits(part_of(variant, **fields), Where(base))
    assert len(caught.value.diagnostics) == 1
    assert caught.value.exit_code == 4
    return caught.value.diagnostics[0]


def survives(variant: str, base: Path, **fields: Any) -> Splits | None:
    """The splits, or None where loading ends in DataError; nothing else may come out."""
    try:
        return load_splits(part_of(variant, **fields), Where(base))
    except DataError:
        return None


def probe_refusal(variant: str, base: Path, **fields: Any) -> Diagnostic:
    """The single diagnostic that probing ends in."""
    with pytest.raises(DataError) as caught:
        part_of(variant, **fields).probe(Where(base))
    return caught.value.diagnostics[0]


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """An array in the IDX format."""
    codes = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, codes[array.dtype.name], array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> Path:
    """Writes an IDX file, compressed if the name says so."""
    path.write_bytes(gzip.compress(idx_bytes(array), 1) if path.suffix == ".gz" else idx_bytes(array))
    return path
