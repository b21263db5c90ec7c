"""Arrays and data frames in the place of a spec's data: against the same in a file, and in a run that is moved and taken up again."""

from __future__ import annotations

import gc
import json
import shutil
import tempfile
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from command_line import called

import aebuild
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError
from aebuild.results.experiment import resume

SPEC = {"name": "given", "encoder": {"layer": "linear", "width": [8]}, "latent": {"type": "continuous", "dim": 2},
        "train": {"epochs": 2, "batch_size": 64, "speed": "exact"}}
RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((60, 4)) * [1, 10, 1e-7, 1e7]
KIND = ["odd" if number % 3 else "even" for number in range(60)]
NAMES = ["a", "b", "c, with a comma", "d"]


def splits_of(data, labels=None, settings=(), spec=SPEC):
    loaded = aebuild.load(spec, settings, data=data, labels=labels)
    assert not loaded.errors, loaded.errors
    return load_splits(loaded.spec.data, Where(loaded.base))


def same(one, other):
    return all(np.array_equal(getattr(one, part).inputs.values, getattr(other, part).inputs.values) for part in ("train", "validation", "test"))


@pytest.fixture(scope="module")
def in_a_file(tmp_path_factory):
    """The splits of the same numbers as a user would have them on disk."""
    file = tmp_path_factory.mktemp("file") / "x.npz"
    np.savez(file, x=X, y=np.asarray(KIND))
    loaded = aebuild.load({**SPEC, "data": str(file)})
    return load_splits(loaded.spec.data, Where(Path()))


@pytest.mark.parametrize("data", [X, torch.from_numpy(X), X.tolist(), {"x": X}, {"samples": torch.from_numpy(X), "y": KIND},
                                  torch.from_numpy(X).requires_grad_(), tuple(map(tuple, X))], ids=lambda data: type(data).__name__)
def test_arrays_are_read_as_from_a_file(data, in_a_file):
    found = splits_of(data, None if isinstance(data, dict) else KIND)
    assert same(found, in_a_file)
    if not (isinstance(data, dict) and "y" not in data):
        assert np.array_equal(found.train.labels, in_a_file.train.labels)
        assert found.class_names == in_a_file.class_names


FRAMES = {"pandas": pd.DataFrame(X, columns=NAMES), "polars": pl.DataFrame(X, schema=NAMES),
          "pyarrow": pa.table({name: X[:, place] for place, name in enumerate(NAMES)})}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("labels", [KIND, np.asarray(KIND), pd.Series(KIND, name="kind"), pl.Series("kind", KIND)], ids=lambda held: type(held).__module__)
def test_frames_keep_every_bit_and_their_names(kind, labels, in_a_file):
    found = splits_of(FRAMES[kind], labels)
    assert same(found, in_a_file)
    assert found.info.columns == tuple(NAMES)
    assert np.array_equal(found.train.labels, in_a_file.train.labels)


def test_lengths_given_beside_samples_count_in_training_and_after_it(tmp_path):
    """As the data: and padding changes no code, also of new arrays by the same names."""
    x, lengths = RANDOM.standard_normal((30, 6, 2)), RANDOM.randint(1, 7, 30)
    spec = {**SPEC, "encoder": [{"gru": {"width": 4}}], "train": {"epochs": 1}}
    run = aebuild.open_run(aebuild.train(spec, data={"x": x, "lengths": lengths}, folder=tmp_path / "run").run)
    assert run.info.ragged
    other = np.where(np.arange(6)[:, None] < lengths[:, None, None], x, 9.0)
    assert np.array_equal(run.encode({"x": x, "lengths": lengths}).values, run.encode({"x": other, "lengths": lengths}).values)
    assert not np.allclose(run.encode(x).values, run.encode(other).values)


def test_labels_may_be_the_name_of_a_column():
    frame = FRAMES["pandas"].assign(kind=KIND)
    assert splits_of(frame, "kind").class_names == ("even", "odd")
    unknown = splits_of(FRAMES["polars"], [None, *KIND[1:]])
    assert sum(int((part.labels < 0).sum()) for part in (unknown.train, unknown.validation, unknown.test)) == 1


def test_a_missing_cell_is_an_empty_one():
    for hole in (None, np.nan, pd.NA, pd.NaT):
        frame = FRAMES["pandas"].astype(object)
        frame.iloc[3, 1] = hole
        error, = aebuild.load(SPEC, data=frame).errors
        assert "column b: the cell is empty" in error.message
        filled = splits_of(frame, settings="data.missing=mean")
        assert len(filled.train) + len(filled.validation) + len(filled.test) == 60


def test_the_rest_of_the_data_section_stays_over_own_data_and_goes_with_a_known_set(tmp_path):
    own = {**SPEC, "data": {"path": str(tmp_path / "absent.csv"), "type": "table", "scale": "unit", "split": {"test": 0}}}
    loaded = aebuild.load(own, data=X)
    assert (loaded.spec.data.variant_name(), loaded.spec.data.scale, loaded.spec.data.split.test) == ("arrays", "unit", 0)
    known = aebuild.load({**SPEC, "data": {"type": "mnist", "split": {"validation": 5000}}}, {"data.split.test": 0}, data=X)
    assert (known.spec.data.split.validation, known.spec.data.split.test) == (None, 0)
    assert aebuild.plan("vae", data=RANDOM.rand(30, 1, 28, 28)).input == aebuild.plan("vae").input
    series = {**SPEC, "encoder": {"layer": "gru", "width": 4}, "data": {"path": "x.csv", "window": {"length": 5}}}
    assert str(aebuild.plan(series, data=FRAMES["polars"]).input) == str(aebuild.plan(series, data=X).input) == "sequence(5; 4)"


def test_paths_and_known_names_are_data_too(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert str(aebuild.plan(SPEC, data=tmp_path / "x.npy").input) == "vector(4)"
    assert str(aebuild.plan(SPEC, data="wine").input) == "vector(13)"
    assert aebuild.build(SPEC, data="wine")(torch.zeros(2, 13)).shape == (2, 13)


@pytest.mark.slow
def test_a_run_holds_its_data_and_may_be_moved(tmp_path, monkeypatch, capsys):
    outcome = aebuild.train(SPEC, data=FRAMES["pandas"], labels=KIND, folder=tmp_path / "first")
    moved = shutil.move(outcome.run, tmp_path / "moved")
    again = resume(moved, change=None)
    assert all(torch.equal(a, b) for a, b in zip(again.result.model.state_dict().values(), outcome.result.model.state_dict().values(), strict=True))
    run = aebuild.open_run(moved)
    assert sorted(set(run.own_split("train").words)) == ["even", "odd"]
    assert np.allclose(run.encode(FRAMES["pandas"]).values, run.encode(X).values)
    assert run.evaluate().model.terms == pytest.approx(outcome.evaluation.model.terms)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    for words in (("validate", moved), ("evaluate", moved, "-q"), ("train", "--resume", moved, "-q", "--set", "train.epochs=3", "--allow")):
        assert called(words, monkeypatch, capsys)[0] == 0
    assert "path: data.csv" in (tmp_path / "moved" / "spec.yaml").read_text()
    (tmp_path / "moved" / "data.csv").write_text((tmp_path / "moved" / "data.csv").read_text().replace("even", "seven", 1))
    code, _, told = called(("train", "--resume", moved), monkeypatch, capsys)
    assert code == 4
    assert "AE514" in told


@pytest.mark.slow
def test_new_frames_are_read_by_the_rules_of_the_run(tmp_path):
    """Times and ids stay beside the codes, words are categories, gaps are filled: as of the file that the frame would be."""
    frame = pd.DataFrame({"when": pd.date_range("2026-01-01", periods=90, freq="h"), "id": [f"c{number}" for number in range(90)],
                          "age": RANDOM.randint(18, 80, 90), "income": RANDOM.lognormal(10, 1, 90), "plan": RANDOM.choice(["a", "b, c", "d"], 90)})
    frame.loc[5, "income"] = np.nan
    run = aebuild.open_run(aebuild.train(SPEC, {"data.missing": "mean"}, data=frame, folder=tmp_path / "run").run)
    codes = run.encode(frame).values
    for same_data in (str(tmp_path / "run" / "data.csv"), pl.from_pandas(frame), pa.Table.from_pandas(frame), frame[frame.columns[::-1]]):
        assert np.array_equal(run.encode(same_data).values, codes)
    assert run.new(frame).beside["id"][:2] == ["c0", "c1"]
    with pytest.raises(DataError, match="income"):
        run.encode(frame[["age", "plan"]])
    semicolons = tmp_path / "semicolons.csv"
    frame.drop(columns="when").to_csv(semicolons, sep=";", decimal=",", index=False)
    other = aebuild.open_run(aebuild.train({**SPEC, "data": {"path": str(semicolons), "separator": ";", "decimal": ",", "missing": "mean"}}, folder=tmp_path / "other").run)
    assert np.array_equal(other.encode(frame).values, other.encode(semicolons).values)


def test_frames_without_names_for_their_columns_are_arrays(tmp_path):
    run = aebuild.open_run(aebuild.train(SPEC, data=X, folder=tmp_path / "run").run)
    for frame in FRAMES.values():
        assert np.array_equal(run.encode(frame).values, run.encode(X).values)


@pytest.mark.slow
def test_texts_are_samples_too(tmp_path):
    texts = [f'the {who} "{what}", «{number}»' for number in range(5) for who in ("cat", "dog") for what in ("sleeps", "runs", "sings")]
    spec = {**SPEC, "encoder": {"layer": "gru", "width": 8}, "losses": {"reconstruction": "categorical"}}
    run = aebuild.open_run(aebuild.train(spec, data=texts, folder=tmp_path / "run").run)
    (tmp_path / "lines.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    assert np.array_equal(run.encode(texts).values, run.encode(run.run.folder / "data.jsonl").values)
    # kernels may round otherwise for fewer rows
    np.testing.assert_allclose(run.encode(texts[:7]).values, run.encode(run.run.folder / "data.jsonl").values[:7], atol=1e-6)
    lines = aebuild.open_run(aebuild.train({**spec, "data": {"path": str(tmp_path / "lines.txt"), "samples": "lines"}}, folder=tmp_path / "lines").run)
    assert np.array_equal(lines.encode(texts).values, lines.encode(tmp_path / "lines.txt").values)
    with pytest.raises(TypeError, match="no labels"):
        aebuild.load(spec, data=texts, labels=[1] * 30)


@pytest.mark.slow
def test_nothing_is_left_beside_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))          # where no other test leaves anything

    def left():
        gc.collect()
        return {path.name for path in Path(gettempdir()).glob("aebuild-data-*")}

    before = left()
    loaded = aebuild.load(SPEC, {"name": "kept"}, data=X)
    first, second = (aebuild.train(loaded, folder=tmp_path / name).run for name in "ab")
    assert json.loads((first / "origin.json").read_text())["data"] == json.loads((second / "origin.json").read_text())["data"]
    with pytest.raises(DataError):
        aebuild.train(SPEC, data=X[:2], folder=tmp_path / "c")
    del loaded
    assert left() <= before
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(("data", "labels", "told"), [
    ([[1, 2], [3]], None, "inhomogeneous"), (3, None, "data are a path"), (object(), None, "data are a path"), (iter([1]), None, "data are a path"),
    ([None, 1.0], None, "object"), (X.astype(complex), None, "complex"), ({1: X}, None, "names like"), ({"file": X}, None, "names like"),
    ({"x": X, "y": KIND}, KIND, "labels='y'"), ({"x": object()}, None, r"data\['x'\]"), (np.ma.masked_greater(X, 0), None, "masked"), (FRAMES["polars"].lazy(), None, "collect"),
    (torch.utils.data.TensorDataset(torch.from_numpy(X)), None, "data are a path"), (torch.zeros(30, 3, dtype=torch.bfloat16), None, "BFloat16"),
    (pd.DataFrame(X[:, :2], columns=["a", "a"]), None, "two columns"), (FRAMES["pandas"], KIND[1:], "59 labels for 60 rows"),
    (FRAMES["pandas"].assign(label=1), KIND, "labels='label'"), (X, [[1]] * 60, "one for each sample"), ("wine", KIND, "labels is the name"),
    (None, KIND, "labels belong to data"),
])
def test_anything_else_is_one_type_error(data, labels, told):
    with pytest.raises(TypeError, match=told):
        aebuild.load(SPEC, data=data, labels=labels)


@pytest.mark.parametrize(("data", "labels"), [(X, KIND[1:]), (X[0], None), ({"a": [1, 2, 3], "b": [4, 5, 6]}, None), (np.asarray(["a"] * 30), None),
                                              ([], None), (X, "kind"), (FRAMES["pandas"], "kind"), ("nowhere.csv", None)])
def test_what_cannot_be_read_is_told_as_of_a_file(data, labels):
    loaded = aebuild.load(SPEC, data=data, labels=labels)
    assert loaded.errors
    with pytest.raises(DataError):
        loaded.require()


def test_what_was_loaded_or_planned_has_its_data():
    for call in (lambda: aebuild.train(aebuild.load(SPEC), data=X), lambda: aebuild.build(aebuild.plan(SPEC), data=X)):
        with pytest.raises(TypeError, match="already"):
            call()
