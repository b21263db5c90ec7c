"""Tables of series: the time is no input, windows stay within a machine, rows out of order are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal

from aebuild.lang.dataset import Where, Window
from aebuild.lang.splits import Splits

WINDOW = Window(length=5, stride=5)
COUNTED = [str(n) for n in range(200)]
UNIX = [str(1_700_000_000 + 60 * n + n % 3) for n in range(200)]
DATES = [f"2024-01-{1 + n // 24:02} {n % 24:02}:00" for n in range(200)]


def write(folder: Path, head: str, *columns: list[str]) -> Path:
    lines = [head, *(",".join(row) for row in zip(*columns, strict=True))]
    (folder / "s.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def series(folder: Path, **fields: Any) -> Splits:
    splits = load("series", folder, path="s.csv", window=WINDOW, scale="none", **fields)
    assert set(part_of("series", path="s.csv", window=WINDOW, **fields).probe(Where(folder)).notes) <= set(splits.notes)
    return splits


def signal(count: int = 200) -> list[str]:
    return [f"{np.sin(n / 3):.4f}" for n in range(count)]


@pytest.mark.parametrize(("name", "cells"), [("n", COUNTED), ("", COUNTED), ("a", UNIX), ("time", UNIX), ("seconds", [f"{n / 100:.2f}" for n in range(200)]),
                                             ("when", DATES)])
def test_a_first_column_that_counts_or_is_a_clock_is_left_out(tmp_path: Path, name: str, cells: list[str]) -> None:
    write(tmp_path, f"{name},u,v", cells, signal(), signal())
    splits = series(tmp_path)
    assert splits.info.columns == ("u", "v")
    assert "left out as the time" in splits.info.detected
    if cells is not DATES:
        assert "index: false" in splits.notes[0]
        assert series(tmp_path, index=False).info.columns == (name or "0", "u", "v")
    assert series(tmp_path, index=True).info.columns == ("u", "v")


def test_a_first_column_that_measures_is_an_input(tmp_path: Path) -> None:
    write(tmp_path, "u,v", signal(), COUNTED)
    assert series(tmp_path).info.columns == ("u", "v")
    write(tmp_path, "n", COUNTED)
    assert series(tmp_path).info.columns == ("n",)


@pytest.mark.parametrize("head", ["machine,time,u", "time,machine,u"])
def test_words_that_repeat_ask_for_a_group(tmp_path: Path, head: str) -> None:
    columns = {"machine": ["a", "b"] * 100, "time": [cell for cell in DATES[:100] for _ in "ab"], "u": signal()}
    write(tmp_path, head, *(columns[name] for name in head.split(",")))
    found = probe_refusal("series", tmp_path, path="s.csv", window=WINDOW)
    assert (found.code, found.fix) == ("AE424", "group: machine")
    assert any("group: machine" in note for note in series(tmp_path, columns=["u"]).notes)
    splits = series(tmp_path, group="machine")
    assert splits.info.columns == ("u",)
    assert not any("not in the order" in note for note in splits.notes)


def test_numbers_with_a_time_that_begins_again_ask_for_a_group(tmp_path: Path) -> None:
    write(tmp_path, "machine,t,u", [str(n // 50) for n in range(200)], [str(n % 50) for n in range(200)], signal())
    found = probe_refusal("series", tmp_path, path="s.csv", window=WINDOW)
    assert (found.code, found.fix) == ("AE424", "group: machine")
    write(tmp_path, "time,machine,u", [str(n // 4) for n in range(200)], [str(n % 4) for n in range(200)], signal())
    assert any("several rows have the same time" in note for note in series(tmp_path).notes)
    assert not any("several rows" in note for note in series(tmp_path, group="machine").notes)


@pytest.mark.parametrize(("machines", "mixed"), [(3, False), (3, True), (20, False), (20, True)])
def test_no_window_crosses_from_one_series_to_another(tmp_path: Path, machines: int, mixed: bool) -> None:
    each = 100
    rows = [(machine, step) for machine in range(machines) for step in range(each)]
    rows = sorted(rows, key=lambda row: row[::-1]) if mixed else rows
    write(tmp_path, "id,t,u", [str(machine) for machine, _ in rows], [str(step) for _, step in rows],
          [str(1000 * machine + step) for machine, step in rows])
    splits = series(tmp_path, group="id")
    assert splits.info.columns == ("u",)
    parts = (splits.train, splits.validation, splits.test)
    for part in parts:
        assert (np.diff(part.x[:, :, 0], axis=1) == 1).all()
        assert ((part.x[:, :1, 0] // 1000) == (part.x[:, :, 0] // 1000)).all()
    owners = [set((part.x // 1000).ravel().astype(int)) for part in parts]
    assert [len(held) for held in owners] == ([3, 3, 3] if machines == 3 else [16, 2, 2])
    assert len(splits.train) == (48 if machines == 3 else 320)
    assert splits.notes[-1].endswith("each divided in blocks of time" if machines == 3 else "divided among themselves")


def test_series_that_are_too_short_are_left_out_and_told(tmp_path: Path) -> None:
    write(tmp_path, "id,u,v", ["a"] * 195 + ["b"] * 5, signal(), signal())
    assert "1 too short for the windows is left out (the first: b)" in series(tmp_path, group="id").notes[-1]
    write(tmp_path, "id,u,v", [str(n % 100) for n in range(200)], signal(), signal())
    assert refusal("series", tmp_path, path="s.csv", window=WINDOW, group="id").code == "AE416"


@pytest.mark.parametrize("cells", [UNIX, DATES])
def test_rows_out_of_time_order_are_told(tmp_path: Path, cells: list[str]) -> None:
    write(tmp_path, "time,u,v", [*cells[100:], *cells[:100]], signal(), signal())
    told = [note for note in series(tmp_path).notes if "not in the order of time" in note]
    assert len(told) == 1
    assert "once, at row 100" in told[0]
    assert "`group`" in told[0]
    many = 30                                                              # beyond the rows that are looked at first
    write(tmp_path, "time,u,v", [str(n) for n in [*range(200 * many - 1), 5]], signal() * many, signal() * many)
    assert any("row 5,999" in note for note in series(tmp_path).notes)


def test_a_group_in_parquet_and_none_in_arrays(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    times = pa.array(range(100), pa.timestamp("ns"))
    columns = {"machine": ["a"] * 100 + ["b"] * 100, "t": pa.chunked_array([times, times]), "u": [float(n % 7) for n in range(200)]}
    pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    assert probe_refusal("series", tmp_path, path="s.parquet", window=WINDOW).code == "AE424"
    assert load("series", tmp_path, path="s.parquet", window=WINDOW, group="machine").info.columns == ("u",)
    np.save(tmp_path / "s.npy", np.zeros((100, 2)))
    for fields in ({"group": 0}, {"separator": ","}, {"index": True}):
        assert probe_refusal("series", tmp_path, path="s.npy", window=WINDOW, **fields).code == "AE413"


@pytest.mark.parametrize("name", ["s.npy", "s.npz"])
@pytest.mark.parametrize("first", [np.arange(200.0), 1_700_000_000.0 + np.arange(200) * 60])
def test_a_clock_in_an_array_is_told(tmp_path: Path, name: str, first: np.ndarray[Any, Any]) -> None:
    values = np.stack([first, np.sin(np.arange(200.0)), np.cos(np.arange(200.0))], 1)
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, values)
    told = [note for note in load("series", tmp_path, path=name, window=WINDOW).notes if "column 0 only counts" in note]
    assert len(told) == 1
    assert "`columns: [1, 2]`" in told[0]
    assert part_of("series", path=name, window=WINDOW).probe(Where(tmp_path)).notes == (tuple(told) if name == "s.npy" else ())
    assert load("series", tmp_path, path=name, window=WINDOW, columns=[0, 1]).notes == ()
