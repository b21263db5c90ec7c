from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aebuild.data.split import blocks, divide, windows_in
from aebuild.lang.dataset import DataInfo, Division, Exclude, Where, Window
from aebuild.lang.diagnostics import DataError


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """Rows whose only value is their number; class = number mod 3."""
    rows = np.arange(100)
    np.savez(tmp_path / "rows.npz", x=rows[:, None].astype(np.float64), y=rows % 3)
    return tmp_path


def ids(split) -> list[int]:
    return split.x[:, 0].astype(int).tolist()


def test_parts_are_disjoint_and_complete_and_follow_the_permutation(numbered: Path) -> None:
    splits = load("arrays", numbered, path="rows.npz", scale="none", split={"validation": 0.2, "test": 10, "seed": 7})
    order = np.random.RandomState(7).permutation(100).tolist()
    assert ids(splits.train) + ids(splits.validation) + ids(splits.test) == order
    assert splits.info.counts == {"train": 70, "validation": 20, "test": 10}
    assert all((np.asarray(ids(s)) % 3 == s.labels).all() for s in (splits.train, splits.validation, splits.test))


def test_the_same_seed_is_the_same_split_and_another_is_not(numbered: Path) -> None:
    def order(seed: int) -> list[int]:
        return ids(load("arrays", numbered, path="rows.npz", scale="none", split={"seed": seed}).train)

    assert order(1) == order(1) != order(2)


def test_default_shares_are_a_tenth_each() -> None:
    assert divide(part_of("digits"), {"train": 1797}) == {"train": 1437, "validation": 180, "test": 180}


def test_labels_keeps_the_first_of_the_permutation(numbered: Path) -> None:
    whole = load("arrays", numbered, path="rows.npz")
    some = load("arrays", numbered, path="rows.npz", labels=5)
    assert some.train.labels is not None
    assert whole.train.labels is not None
    assert (some.train.labels[:5] == whole.train.labels[:5]).all()
    assert (some.train.labels[5:] == -1).all()
    assert (some.validation.labels == whole.validation.labels).all()
    assert (load("arrays", numbered, path="rows.npz", labels=0).train.labels == -1).all()


def test_more_known_labels_than_samples_are_refused(numbered: Path) -> None:
    found = probe_refusal("arrays", numbered, path="rows.npz", labels=81)
    assert (found.code, found.fix) == ("AE410", "labels: 80")
    assert refusal("arrays", numbered, path="rows.npz", labels=60, exclude=Exclude(label=1)).code == "AE410"


def test_exclude_leaves_a_class_out_of_training_and_validation_only(numbered: Path) -> None:
    splits = load("arrays", numbered, path="rows.npz", scale="none", exclude=Exclude(label=1))
    whole = load("arrays", numbered, path="rows.npz", scale="none")
    assert ids(splits.train) == [row for row in ids(whole.train) if row % 3 != 1]
    assert ids(splits.validation) == [row for row in ids(whole.validation) if row % 3 != 1]
    assert ids(splits.test) == ids(whole.test)
    assert splits.info.classes == 3
    assert set(ids(load("arrays", numbered, path="rows.npz", scale="none", exclude=Exclude(label=[0, "2"])).train)) <= set(range(1, 100, 3))


def test_excluding_a_class_that_is_not_there_names_the_classes(numbered: Path) -> None:
    found = refusal("arrays", numbered, path="rows.npz", exclude=Exclude(label="cat"))
    assert found.code == "AE410"
    assert "0, 1, 2" in found.message
    assert refusal("arrays", numbered, path="rows.npz", exclude=Exclude(label=[0, 1, 2])).code == "AE407"


def test_classes_named_by_words_may_be_excluded_by_number() -> None:
    splits = load("wine", Path(), exclude=Exclude(label=2))
    assert splits.train.labels is not None
    assert set(splits.train.labels) == {0, 1}
    assert (load("wine", Path(), exclude=Exclude(label="class_2")).train.x == splits.train.x).all()


def test_limit_takes_the_first_of_the_permutation(numbered: Path) -> None:
    splits = load("arrays", numbered, path="rows.npz", scale="none", limit=12)
    assert ids(splits.train) == ids(load("arrays", numbered, path="rows.npz", scale="none").train)[:12]
    assert splits.info.counts == {"train": 12, "validation": 10, "test": 10}
    assert load("arrays", numbered, path="rows.npz", limit=1000).info.counts["train"] == 80


@pytest.mark.parametrize(("split", "missing"), [
    ({"validation": 0.001}, "validation"), ({"test": 0.001}, "test"), ({"validation": 90, "test": 10}, "train"),
    ({"validation": 0.6, "test": 0.5}, "train")])
def test_a_split_that_leaves_a_part_empty_is_refused(numbered: Path, split: dict[str, float], missing: str) -> None:
    found = probe_refusal("arrays", numbered, path="rows.npz", split=split)
    assert found.code == "AE407"
    assert f"no sample for the {missing} part" in found.message
    assert refusal("arrays", numbered, path="rows.npz", split=split) == found


def test_one_sample_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 4)))
    assert "1 sample divided" in probe_refusal("arrays", tmp_path, path="one.npz").message
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 4)))
    assert probe_refusal("arrays", tmp_path, path="none.npz").code == "AE407"


@pytest.mark.parametrize("portion", [-1, -0.1, 1.0, 1.5, True, "5"])
def test_portions_are_counts_or_shares(portion: object) -> None:
    with pytest.raises(ValidationError):
        Division(validation=portion)  # type: ignore[arg-type]


def test_known_sets_keep_their_test_part() -> None:
    part = part_of("mnist", split={"validation": 5000})
    assert part.probe(Where(Path())).counts == {"train": 55000, "validation": 5000, "test": 10000}
    with pytest.raises(ValidationError):
        part_of("mnist", split={"test": 0.1})


def test_a_test_part_in_the_file_is_kept_and_cannot_be_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "parts.npz", x_train=np.arange(20.0)[:, None], x_test=np.arange(20.0, 25)[:, None],
             x_val=np.arange(25.0, 28)[:, None])
    splits = load("arrays", tmp_path, path="parts.npz", scale="none")
    assert sorted(ids(splits.train)) == list(range(20))
    assert (ids(splits.test), ids(splits.validation)) == ([20, 21, 22, 23, 24], [25, 26, 27])
    for name in ("test", "validation"):
        found = probe_refusal("arrays", tmp_path, path="parts.npz", split={name: 0.1})
        assert found.code == "AE413"
        assert f"split.{name}" in found.message


@settings(max_examples=80, deadline=None)
@given(rows=st.integers(3, 400), length=st.integers(1, 40), stride=st.integers(1, 50),
       validation=st.one_of(st.integers(1, 5), st.floats(0.05, 0.4)),
       test=st.one_of(st.integers(1, 5), st.floats(0.05, 0.4)))
def test_blocks_of_time_never_share_a_row(rows: int, length: int, stride: int, validation: float, test: float) -> None:
    part, window = part_of("series", path="x", split={"validation": validation, "test": test}), Window(length=length, stride=stride)
    try:
        starts = blocks(part, rows, window)
    except DataError:
        return
    seen = [{row for start in held for row in range(start, start + length)} for held in starts.values()]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert max(seen[0]) < min(seen[1])
    assert max(seen[1]) < min(seen[2])
    assert max(seen[2]) < rows
    for name, portion in (("validation", validation), ("test", test)):
        if isinstance(portion, int):
            assert len(starts[name]) == portion
    for held in starts.values():
        assert all(b - a == stride for a, b in pairwise(held))


@given(rows=st.integers(0, 60), length=st.integers(1, 20), stride=st.integers(1, 20))
def test_number_of_windows(rows: int, length: int, stride: int) -> None:
    assert windows_in(rows, Window(length=length, stride=stride)) == len([s for s in range(0, rows, stride) if s + length <= rows])


def test_info_survives_json() -> None:
    for variant in ("digits", "wine", "photos", "ecg5000"):
        info = part_of(variant).probe(Where(Path()))
        assert DataInfo.from_json(info.to_json()) == info
