"""Different values that rounding would merge, and values far outside what training sees, are told with their column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, refusal

COUNT = 1000
HUGE = {"int64": 2**62 + np.arange(COUNT), "uint64": np.uint64(2**64 - 1) - np.arange(COUNT, dtype=np.uint64)}
KINDS = ("t.csv", "t.parquet", "t.npy", "t.npz")


def store(folder: Path, name: str, *columns: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Writes columns as a file of that kind, and gives the fields that name it."""
    if name.endswith(".csv"):
        lines = [",".join("abcd"[:len(columns)]), *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
        (folder / name).write_text("\n".join(lines))
    elif name.endswith(".parquet"):
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table(dict(zip("abcd", columns, strict=False))), folder / name)
    else:
        (np.save if name.endswith("npy") else np.savez)(folder / name, np.stack(columns, 1))
    return {"variant": "arrays" if name[2:] in ("npy", "npz") else "table", "base": folder, "path": name}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.parametrize("scale", ["standard", "none"])
def test_whole_numbers_beyond_doubles_are_refused(tmp_path: Path, name: str, kind: str, scale: str) -> None:
    values = HUGE[kind]
    found = refusal(**store(tmp_path, name, np.arange(COUNT, dtype=values.dtype)[::-1], values), scale=scale)
    assert found.code == "AE423"
    assert ("column b" if name in KINDS[:2] else "column 1") in found.message
    assert "2^53" in found.message


@pytest.mark.parametrize("name", KINDS)
def test_small_steps_on_a_large_constant_are_scaled_before_they_are_rounded(tmp_path: Path, name: str) -> None:
    clock = 1_700_000_000_000_000_000 + 1_000_000_000 * np.arange(COUNT)         # unix time in nanoseconds, a step a second
    fields = store(tmp_path, name, clock, np.arange(COUNT)[::-1] ** 2)
    splits = load(**fields)
    assert len(np.unique(splits.train.x[:, 0])) == len(splits.train)
    assert splits.notes == ()
    told = load(**fields, scale="none").notes
    assert len(told) == 1
    assert ("column a" if name in KINDS[:2] else "column 0") in told[0]
    assert "scale: standard" in told[0]


def test_a_column_that_would_become_constant_is_refused(tmp_path: Path) -> None:
    fields = store(tmp_path, "t.csv", np.arange(COUNT) ** 2, 1e9 + np.arange(COUNT) % 3)
    found = refusal(**fields, scale="none")
    assert (found.code, found.fix) == ("AE423", "scale: standard")
    assert "column b" in found.message
    assert load(**fields).notes == ()


@pytest.mark.parametrize("stream", [False, True])
def test_outliers_that_swallow_the_rest_are_told(tmp_path: Path, stream: bool) -> None:
    rest = np.arange(COUNT, dtype=np.float64)
    fields = store(tmp_path, "t.npy", rest**2, np.where(rest < COUNT - 100, rest, 1e30))
    assert "column 1" in load(**fields, stream=stream).notes[stream]


@pytest.mark.parametrize("scale", ["standard", "unit", "none"])
def test_values_far_outside_what_training_sees_are_counted(tmp_path: Path, scale: str) -> None:
    constant = np.zeros(100)
    order = np.random.RandomState(42).permutation(100)
    constant[order[85]], constant[order[95]] = 50, -70
    fields = store(tmp_path, "t.csv", np.arange(100) % 7, constant)
    told = [note for note in load(**fields, scale=scale).notes if "far outside" in note]
    assert len(told) == 1
    assert "column b (2 values, up to -70; training has 0 only)" in told[0]
    assert "column a" not in told[0]
