"""What models are told of samples: found in tables and series, given by hand, and what a trained model makes of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import called

import aebuild
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError, UsageError
from aebuild.lang.splits import Splits
from aebuild.results.open_run import OpenRun

FOLDER = Path(mkdtemp(prefix="aebuild-conditions-"))
MODEL = {"encoder": [{"linear": 6}], "latent": {"type": "gaussian", "dim": 2},
         "train": {"epochs": 1, "batch_size": 32, "speed": "exact"}}
RANDOM = np.random.RandomState(0)
AGES = RANDOM.uniform(20, 60, 80).round(2)
TOWNS = np.asarray(["Ulm", "Bonn", "Kiel"])[RANDOM.randint(0, 3, 80)]
MONTHS = RANDOM.randint(1, 13, 80)


def table_file() -> Path:
    path = FOLDER / "people.csv"
    rows = [f"{RANDOM.standard_normal():.4f},{RANDOM.standard_normal():.4f},{age:.2f},{'' if row == 5 else town},2024-{month:02}-10"
            for row, (age, town, month) in enumerate(zip(AGES, TOWNS, MONTHS, strict=True))]
    path.write_text("\n".join(["a,b,age,town,born", *rows]) + "\n")
    return path


def series_file() -> Path:
    path = FOLDER / "load.csv"
    times = pd.date_range("2024-01-01 00:00", periods=400, freq="3h")
    rows = [f"{time},{RANDOM.standard_normal():.4f},{row},{'open' if time.weekday() < 5 else 'shut'}" for row, time in enumerate(times)]
    path.write_text("\n".join(["time,load,meter,shop", *rows]) + "\n")
    return path


def splits_of(data: dict[str, Any], condition: dict[str, Any]) -> Splits:
    loaded = aebuild.load({**MODEL, "data": data, "condition": condition})
    assert not loaded.errors, [each.message for each in loaded.errors]
    splits = load_splits(loaded.spec.data, Where(FOLDER))
    assert [(each.name, each.kind, each.words) for each in splits.info.conditions] == [
        (each.name, each.kind, each.words) for each in loaded.info.conditions]
    return splits


def test_columns_and_the_time_of_a_table() -> None:
    """Numbers by the training samples' mean and deviation, words one-hot, the month as a point on a circle; none of them an input."""
    splits = splits_of({"type": "table", "path": str(table_file())}, {"town": "film", "age": "film", "month": "concat"})
    assert splits.info.columns == ("a", "b")
    assert splits.info.condition_columns == {"town": (0, 3), "age": (3, 4), "month": (4, 6)}
    assert splits.info.conditions[0].words == ("Bonn", "Kiel", "Ulm")
    known = AGES[splits.train.origin[1]]
    for split in (splits.train, splits.validation, splits.test):
        rows, held = split.origin[1], split.beside["conditions"]
        towns = np.asarray([[town == word for word in ("Bonn", "Kiel", "Ulm")] for town in TOWNS[rows]], np.float32)
        towns[rows == 5] = 0                               # an empty cell is not known
        angle = 2 * np.pi * MONTHS[rows] / 12
        assert np.array_equal(held[:, :3], towns)
        assert np.allclose(held[:, 3], (AGES[rows] - known.mean()) / known.std(), atol=1e-5)
        assert np.allclose(held[:, 4:], np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-6)


def test_a_column_that_is_named_an_input_is_both() -> None:
    splits = splits_of({"type": "table", "path": str(table_file()), "columns": ["a", "age"]}, {"age": "film"})
    assert splits.info.columns == ("a", "age")
    assert np.allclose(splits.train.beside["conditions"][:, 0], splits.train.x[:, 1], atol=1e-5)


def test_a_window_is_told_what_its_first_row_says() -> None:
    splits = splits_of({"type": "series", "path": str(series_file()), "window": {"length": 8, "stride": 3}},
                       {"hour": "film", "weekday": "film", "shop": "concat", "meter": "concat"})
    assert splits.info.columns == ("load",)
    for split in (splits.train, splits.test):
        starts, held = split.windows.starts, split.beside["conditions"]
        hours, days = starts * 3 % 24, starts * 3 // 24 % 7
        for first, turn in ((0, hours / 24), (2, days / 7)):
            assert np.allclose(held[:, first:first + 2], np.stack([np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)], 1), atol=1e-6)
        assert np.array_equal(held[:, 4:6], np.stack([days < 5, days >= 5], 1))
    assert abs(splits.train.beside["conditions"][:, 6].mean()) < 1e-5


def test_whole_series_are_told_what_their_first_row_says() -> None:
    path = FOLDER / "trips.csv"
    rows = [f"t{trip},{step},{RANDOM.standard_normal():.3f},{'red' if trip % 3 else 'blue'}" for trip in range(30) for step in range(3 + trip % 4)]
    path.write_text("\n".join(["trip,step,speed,line", *rows]) + "\n")
    loaded = aebuild.load({**MODEL, "data": {"type": "series", "path": str(path), "group": "trip"}, "condition": {"line": "film"},
                           "encoder": [{"gru": 4}], "decoder": [{"gru": 4}]})
    assert not loaded.errors, [each.message for each in loaded.errors]
    splits = load_splits(loaded.spec.data, Where(FOLDER))
    assert splits.info.ragged
    assert np.array_equal(splits.train.beside["conditions"][:, 1], splits.train.origin[1] % 3 > 0)


def test_labels_that_are_not_known_are_zeros() -> None:
    splits = splits_of({"type": "digits", "labels": 100}, {"label": "film"})
    held = splits.train.beside["conditions"]
    assert np.array_equal(held[:100].argmax(1), splits.train.labels[:100])
    assert (held[:100].sum(1) == 1).all()
    assert not held[100:].any()


def test_what_data_do_not_have_is_refused_at_its_line() -> None:
    table = {"type": "table", "path": str(table_file()), "columns": ["a", "b"]}
    series = {"type": "series", "path": str(series_file()), "window": 8}
    for data, name, near in ((table, "agee", "age"), (table, "hours", "hour"), (series, "shp", "shop"), ("photos", "label", None)):
        loaded = aebuild.load({**MODEL, "data": data, "condition": {name: "film"}})
        found, = (each for each in loaded.errors)
        assert found.code == "AE390"
        assert (found.fix == near) if near else ("a column" in found.fix)
    counted = aebuild.load({**MODEL, "data": {**series, "index": False, "columns": ["load"]}, "condition": {"hour": "film"}})
    assert [each.code for each in counted.errors] == ["AE390"]              # of numbers that only count nobody knows the hour
    declared = aebuild.load({**MODEL, "data": {**table, "shape": [2]}, "condition": {"town": "film"}})
    assert not declared.errors
    with pytest.raises(DataError, match="declares the condition town as a number, but it is a category"):
        load_splits(declared.spec.data, Where(FOLDER))


# ------------------------------------------------------------------------------------------------------------- trained models


@cache
def trained(name: str) -> OpenRun:
    spec = {"digits": {"data": "digits", "condition": {"label": "film"}, "losses": {"reconstruction": "bernoulli"}},
            "decoder": {"data": "digits", "condition": {"label": {"into": ["decoder"]}}, "losses": {"reconstruction": "bernoulli"}},
            "table": {"data": {"type": "table", "path": str(table_file())}, "condition": {"town": "film", "age": "film"},
                      "latent": {"type": "gaussian", "dim": 2, "prior": "conditional"}}}[name]
    if name == "table":
        spec["condition"]["age"] = {"into": ["encoder", "decoder", "prior"]}
    outcome = aebuild.train({**MODEL, **spec, "name": name}, folder=FOLDER / name)
    return aebuild.open_run(outcome.run)


def test_samples_are_told_what_is_given() -> None:
    run = trained("digits")
    threes, eights = (run.sample(5, seed=1, given={"label": label}) for label in (3, "8"))
    assert threes.shape == (5, 1, 8, 8)
    assert not np.array_equal(threes, eights)                                 # of the same draws
    mixed = run.sample(5, seed=1, given={"label": [3, 3, 8, 8, 3]})
    assert np.allclose(mixed[:2], threes[:2])
    assert np.allclose(mixed[2:4], eights[2:4])
    with pytest.raises(ValueError, match="at least one sample is drawn, not -1"):
        run.sample(-1, given={"label": 3})
    table = trained("table")
    assert table.sample(4, given={"town": "Ulm", "age": 30}).shape == (4, 2)
    unknown = table.sample(4, given={"town": "", "age": 30})
    assert not np.array_equal(unknown, table.sample(4, given={"town": "Ulm", "age": 30}))


def test_a_reconstruction_with_another_label_keeps_the_code() -> None:
    """The encoder is told what the data say, the decoder what is given: the same style as another digit."""
    run = trained("digits")
    own, codes = run.own_split("test"), run.encode(run.own_split("test"))
    given = run.reconstruct(own, given={"label": 3})
    assert np.allclose(given, run.decode(codes, given={"label": 3}), atol=1e-6)
    words = list(own.words)
    assert np.allclose(run.reconstruct(own), run.decode(codes, given={"label": words}), atol=1e-6)
    assert np.allclose(run.traverse(own, 3, around=4, given={"label": 3}).shape, (2, 3, 1, 8, 8))
    walk = run.interpolate(own, own, 3)
    assert np.allclose(walk[:, 0], run.reconstruct(own), atol=1e-6)


def test_new_data_say_it_themselves_or_it_is_given() -> None:
    run = trained("table")
    frame = pd.DataFrame({"a": [0.1, 0.2], "b": [1.0, -1.0], "age": [30.0, 50.0], "town": ["Ulm", "Bonn"]})
    rows = run.reconstruct(frame)
    assert rows.shape == (2, 2)
    lacking = frame.drop(columns="town")
    with pytest.raises(UsageError, match="town"):
        run.reconstruct(lacking)
    assert np.allclose(run.reconstruct(lacking, given={"town": ["Ulm", "Bonn"]}), rows, atol=1e-6)
    with pytest.raises(DataError, match="none of the categories"):
        run.encode(frame.assign(town=["Ulm", "Paris"]))
    images = trained("digits").own_split("test").split.x[:4] * 16
    assert trained("digits").encode(images, given={"label": 3}).values.shape == (4, 2)
    told = trained("decoder")
    assert told.encode(images).values.shape == (4, 2)                          # its encoder is told nothing
    with pytest.raises(UsageError, match="label"):
        told.reconstruct(images)


def test_what_is_not_given_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run, place = trained("digits"), tmp_path / "a.png"

    def sampled(*more: str) -> tuple[object, str]:
        code, _, err = called(("sample", run.run.folder, "-o", place, "-n", 4, *more), monkeypatch, capsys)
        return code, " ".join(err.split())

    code, said = sampled()
    assert code == 2
    assert "AE576" in said
    assert "--given label=VALUE" in said
    for given, wanted in (("label=eleven", "there is no label eleven"), ("lable=3", "not told lable"), ("label", "a name and a value")):
        code, said = sampled("--given", given)
        assert code == 2
        assert wanted in said
    assert sampled("--given", "label=3")[0] == 0
    with pytest.raises(UsageError, match="given 3 times"):
        run.sample(4, given={"label": [1, 2, 3]})
    with pytest.raises(UsageError, match="no number"):
        trained("table").sample(4, given={"age": "old", "town": "Ulm"})


def test_a_conditioned_model_answers_scores_and_is_exported(tmp_path: Path) -> None:
    run = trained("table")
    assert len(run.score(run.own_split("test")).scores["reconstruction"]) == 8
    assert run.evaluate().to_json()["model"]["terms"]
    written = run.export(tmp_path / "out", half="decoder", formats=["torch"])
    assert [each.file for each in written.programs] == ["decoder.pt2"]
