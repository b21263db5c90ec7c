"""The time of a series: gaps that no window crosses, steps of one length, the hour as an input, and empty cells."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal, survives
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.data.index_columns import Axis, times_of
from aebuild.lang.dataset import Where, Window
from aebuild.lang.splits import Splits
from aebuild.lang.values import Sequence

WINDOW = Window(length=5, stride=1)
START = datetime(2024, 1, 5, 22, 0)          # a Friday


def write(folder: Path, head: str, *columns: list[Any]) -> Path:
    lines = [head, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
    (folder / "s.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def series(folder: Path, **fields: Any) -> Splits:
    return load("series", folder, path="s.csv", **({"window": WINDOW, "scale": "none"} | fields))


def minutes(steps: list[float]) -> list[str]:
    return [str(START + timedelta(minutes=step)) for step in steps]


GAPPY = [float(10 * n + (500 if n >= 60 else 0) + (90 if n >= 150 else 0)) for n in range(200)]


@pytest.mark.parametrize("form", ["dates", "unix", "german", "counted", "last column"])
def test_no_window_crosses_a_gap(tmp_path: Path, form: str) -> None:
    cells: list[Any] = minutes(GAPPY)
    if form == "unix":
        cells = [1_700_000_000 + 60 * step for step in GAPPY]
    if form == "german":
        cells = [datetime.fromisoformat(cell).strftime("%d.%m.%Y %H:%M") for cell in cells]
    if form == "counted":
        cells = [n + (7 if n >= 60 else 0) + (7 if n >= 150 else 0) for n in range(200)]
    columns = [cells, list(range(200)), [n % 7 for n in range(200)]]
    if form == "last column":
        write(tmp_path, "v,u,when", columns[2], columns[1], columns[0])
    else:
        write(tmp_path, "when,u,v" if form != "counted" else "time,u,v", *columns)
    splits = series(tmp_path)
    place = splits.info.columns.index("u")  # type: ignore[union-attr]
    assert set(splits.info.columns or ()) == {"u", "v"}
    parts = (splits.train, splits.validation, splits.test)
    for part in parts:
        first, last = part.x[:, 0, place], part.x[:, -1, place]
        assert (last - first == 4).all()
        assert all((first >= edge).tolist() == (last >= edge).tolist() for edge in (60, 150))
    assert [len(part) for part in parts] == [60 - 4 + 90 - 4 + 10 - 4, 16, 16]
    assert any("2 gaps" in note and "no window crosses one" in note for note in splits.notes)
    whole = series(tmp_path, gaps="ignore")
    assert [len(part) for part in (whole.train, whole.validation, whole.test)] == [156, 16, 16]
    assert any("windows cross them" in note for note in whole.notes)


def test_gaps_of_several_series(tmp_path: Path) -> None:
    steps = [n if n < 30 else n + 20 for n in range(60)]
    write(tmp_path, "id,time,u", [str(n % 12) for n in range(720)], [steps[n // 12] for n in range(720)],
          [1000 * (n % 12) + n // 12 for n in range(720)])
    splits = series(tmp_path, group="id")
    for part in (splits.train, splits.validation, splits.test):
        first, last = part.x[:, 0, 0], part.x[:, -1, 0]
        assert (last - first == 4).all()
        assert (((first % 1000) >= 30) == ((last % 1000) >= 30)).all()
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 12 * 52
    raw = part_of("series", path="s.csv", window=WINDOW, group="id").read(Where(tmp_path))
    beside = raw.beside("train")
    values = raw.x["train"].series[0, :, 0]
    assert list(beside) == ["id", "time"]
    assert [float(cell) for cell in beside["id"]] == (values // 1000).tolist()
    assert [float(cell) for cell in beside["time"]] == [steps[int(value % 1000)] for value in values]


def test_too_many_gaps_and_uneven_steps_are_told(tmp_path: Path) -> None:
    write(tmp_path, "time,u,v", [n * 10 + (1000 * (n // 4)) for n in range(200)], range(200), range(200))
    found = refusal("series", tmp_path, path="s.csv", window=WINDOW)
    assert (found.code, "between the gaps" in found.message) == ("AE416", True)
    series(tmp_path, window=Window(length=4))
    write(tmp_path, "time,u,v", [n * 10 + n % 3 for n in range(200)], range(200), range(200))
    assert any("uneven: 8 to 11, usually 11" in note for note in series(tmp_path).notes)


@pytest.mark.parametrize("every", ["30 min", "30min", "0.5 h", 1800.0])
def test_rows_are_averaged_to_even_steps(tmp_path: Path, every: str | float) -> None:
    draw = np.random.default_rng(0)
    at = np.sort(draw.uniform(0, 20_000, 900))
    at = at[(at < 6_000) | (at > 6_200)]
    u, v = draw.normal(size=(2, len(at)))
    write(tmp_path, "when,u,v", minutes(at.tolist()), u.tolist(), v.tolist())
    splits = series(tmp_path, every=every, window=Window(length=2), split={"validation": 0, "test": 0})
    absolute = np.array([(START + timedelta(minutes=step) - datetime(1970, 1, 1)).total_seconds() for step in at])
    means: dict[int, list[np.ndarray[Any, Any]]] = {}
    for moment, a, b in zip(absolute, u, v, strict=True):
        means.setdefault(int(moment // 1800), []).append(np.array([a, b]))
    wanted = [[np.mean(means[number], axis=0), np.mean(means[number + 1], axis=0)] for number in sorted(means) if number + 1 in means]
    assert np.allclose(splits.train.x[np.argsort(splits.train.x[:, 0, 0])], sorted(wanted, key=lambda pair: pair[0][0]), atol=1e-6)
    assert any("rows averaged to" in note for note in splits.notes)


def test_averages_leave_out_what_is_missing_and_beside_has_the_first_row(tmp_path: Path) -> None:
    write(tmp_path, "time,u,v", [n / 2 for n in range(40)], [n if n % 2 else "" for n in range(40)], range(40))
    part = part_of("series", path="s.csv", window=Window(length=2), every=2.0, missing="mean", split={"validation": 0, "test": 0})
    raw = part.read(Where(tmp_path))
    assert raw.x["train"].series[0, :3].tolist() == [[2, 1.5], [6, 5.5], [10, 9.5]]
    assert raw.beside("train")["time"][:3] == ["0.0", "2.0", "4.0"]


@pytest.mark.parametrize(("fields", "code"), [
    ({"every": "10 parsecs"}, "AE434"), ({"every": "10 min", "path": "n.csv"}, "AE434"), ({"clock": ["day"], "path": "n.csv"}, "AE434"),
    ({"clock": ["day"], "path": "c.csv"}, "AE434"), ({"every": "10 min", "path": "c.csv"}, "AE434"), ({"indicators": ["u"]}, "AE431"),
    ({"every": 2.0, "path": "s.npy"}, "AE413"), ({"gaps": "ignore", "path": "s.npy"}, "AE413"),
    ({"missing": "indicator", "indicators": ["when"]}, "AE413")])
def test_what_does_not_fit_is_refused(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    write(tmp_path, "when,u,v", minutes([float(n) for n in range(60)]), range(60), range(60))
    (tmp_path / "n.csv").write_text("u,v\n" + "".join(f"{n % 7},{n % 5}\n" for n in range(60)))
    (tmp_path / "c.csv").write_text("time,u\n" + "".join(f"{n},{n % 5}\n" for n in range(60)))
    np.save(tmp_path / "s.npy", np.zeros((60, 2)))
    assert refusal("series", tmp_path, **({"path": "s.csv", "window": WINDOW} | fields)).code == code


def test_the_hour_is_an_input_that_is_not_reconstructed(tmp_path: Path) -> None:
    write(tmp_path, "when,u", minutes([60.0 * n for n in range(200)]), range(200))
    splits = series(tmp_path, clock=["day", "week"])
    assert (splits.info.value, splits.info.target) == (Sequence(5, 5), Sequence(5, 1))
    assert splits.info.columns == ("u", "sine of day", "cosine of day", "sine of week", "cosine of week")
    assert splits.info.target_columns == ("u",)
    assert splits.train.target is not None
    for sample, aim in zip(splits.train.x.reshape(-1, 5), splits.train.target.reshape(-1), strict=True):
        moment = START + timedelta(hours=int(aim))
        day = 2 * np.pi * moment.hour / 24
        week = 2 * np.pi * (moment.weekday() * 24 + moment.hour) / 168
        assert np.allclose(sample, [aim, np.sin(day), np.cos(day), np.sin(week), np.cos(week)], atol=1e-6)
    part = part_of("series", path="s.csv", window=WINDOW, clock=["day", "week"])
    again = part.fixed(splits.info)
    assert (again.columns, again.target) == (["u"], None)
    assert part_of("series", path="s.csv", window=WINDOW, clock=["day", "week"], shape=[5, 5]).probe(Where(tmp_path)).target == Sequence(5, 1)


@pytest.mark.parametrize("missing", ["mean", "indicator", "mask"])
def test_empty_cells_of_a_series(tmp_path: Path, missing: str) -> None:
    write(tmp_path, "time,u,v", range(200), ["" if n % 9 == 4 else n for n in range(200)], [1000 + n for n in range(200)])
    assert probe_refusal("series", tmp_path, path="s.csv", window=WINDOW).code == "AE405"
    splits = series(tmp_path, missing=missing, scale="standard")
    train = [n for n in range(160) if n % 9 != 4]
    assert splits.scaling.fill[0] == pytest.approx(np.mean([n for start in range(156) for n in range(start, start + 5) if n % 9 != 4]))
    raw = splits.scaling.undo(splits.train.x)
    rows = np.rint(raw[:, :, 1] - 1000).astype(int)
    empty = rows % 9 == 4
    assert np.allclose(raw[:, :, 0], np.where(empty, splits.scaling.fill[0], rows), atol=1e-2)
    assert len(train) < 160
    if missing == "indicator":
        assert splits.info.value == Sequence(5, 3)
        assert (splits.train.x[:, :, 2] == empty).all()
    if missing == "mask":
        assert (splits.train.beside["mask"][:, :, 0] == ~empty).all()
        assert splits.train.beside["mask"][:, :, 1].all()


@pytest.mark.parametrize(("cells", "wanted"), [
    (["2024-01-01", "2024-01-02T00:00"], 86400), (["31.12.2023 10:00", "01.01.2024"], 50400), (["2024/02/28", "2024/03/01"], 172800),
    (["2024-01-01T00:00+01:00", "2024-01-01T00:00Z"], 3600)])
def test_dates_are_understood(cells: list[str], wanted: float) -> None:
    found = times_of(Axis(0, "t"), cells)
    assert found is not None
    assert found[0][1] - found[0][0] == wanted
    assert times_of(Axis(0, "t"), ["12/31/2024", "01/01/2025"]) is None


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_windows_are_all_that_cross_no_gap_series_or_border(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("gaps")
    owners, draw = data.draw(st.integers(1, 3)), np.random.default_rng(data.draw(st.integers(0, 10_000)))
    steps = [np.cumsum(draw.choice([1, 9], draw.integers(60, 90), p=[0.9, 0.1])) for _ in range(owners)]
    rows = [(owner, int(time), 1000 * owner + place) for owner in range(owners) for place, time in enumerate(steps[owner])]
    if owners > 1:
        rows = sorted(rows, key=lambda row: (row[1], row[0]))
    write(folder, "id,time,u", *map(list, zip(*rows, strict=True)))
    window = Window(length=data.draw(st.integers(1, 3)), stride=data.draw(st.integers(1, 3)))
    fields: dict[str, Any] = {"path": "s.csv", "window": window, "scale": "none"} | ({"group": "id"} if owners > 1 else {"columns": ["u"]})
    splits = survives("series", folder, **fields)
    if splits is None:
        assert refusal("series", folder, **fields).code == "AE416"
        return
    time_of = {value: (owner, time) for owner, time, value in rows}
    seen: dict[str, set[int]] = {}
    for name, part in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
        values = part.x[:, :, 0].astype(int)
        for sample in values.tolist():
            held = [time_of[value] for value in sample]
            assert all(after[0] == before[0] and after[1] - before[1] == 1 for before, after in pairwise(held))
        seen[name] = set(values.ravel().tolist())
    assert not seen["train"] & seen["validation"]
    assert not seen["train"] & seen["test"]
    if window.stride == 1 and owners == 1:
        count = len(rows)
        border = count - 2 * round(0.1 * count)
        wanted = sum(all(rows[place + step + 1][1] - rows[place + step][1] == 1 for step in range(window.length - 1))
                     for place in range(border - window.length + 1))
        assert len(splits.train) == wanted
