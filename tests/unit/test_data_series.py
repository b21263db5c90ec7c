from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal

from aebuild.lang.dataset import Where, Window
from aebuild.lang.values import Sequence


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A thousand steps: the time, the step's number, and twice that."""
    (tmp_path / "s.csv").write_text("time,a,b\n" + "".join(f"2020-01-01 {n},{n},{2 * n}\n" for n in range(1000)))
    np.save(tmp_path / "s.npy", np.stack([np.arange(1000.0), 2 * np.arange(1000.0)], 1))
    return tmp_path


@pytest.mark.parametrize("name", ["s.csv", "s.npy"])
def test_windows_are_divided_in_blocks_of_time(clock: Path, name: str) -> None:
    splits = load("series", clock, path=name, window=Window(length=20, stride=5), scale="none")
    assert splits.info.value == Sequence(20, 2)
    assert (np.diff(splits.train.x[:, :, 0], axis=1) == 1).all()
    assert (splits.train.x[:, :, 1] == 2 * splits.train.x[:, :, 0]).all()
    assert sorted(splits.train.x[:, 0, 0]) == list(range(0, 781, 5))
    assert splits.validation.x[:, 0, 0].tolist() == list(range(800, 881, 5))
    assert splits.test.x[:, 0, 0].tolist() == list(range(900, 981, 5))
    assert splits.train.x[:, 0, 0].tolist() != sorted(splits.train.x[:, 0, 0])


def test_the_first_column_of_words_is_the_time(clock: Path) -> None:
    info = part_of("series", path="s.csv", window=Window(length=5)).probe(Where(clock))
    assert "left out as the time: time" in info.detected
    assert info.columns == ("a", "b")
    assert probe_refusal("series", clock, path="s.csv", window=Window(length=5), columns=["time", "a"]).code == "AE413"


def test_columns_and_targets(clock: Path) -> None:
    for name, target in (("s.csv", "b"), ("s.npy", 1)):
        splits = load("series", clock, path=name, window=Window(length=5, stride=5), target=target, scale="none")
        assert (splits.info.value, splits.info.target) == (Sequence(5, 1), Sequence(5, 1))
        assert splits.train.target is not None
        assert (splits.train.target == 2 * splits.train.x).all()
        assert load("series", clock, path=name, window=Window(length=5), columns=[target]).info.value == Sequence(5, 1)
    assert probe_refusal("series", clock, path="s.npy", window=Window(length=5), columns=[2]).code == "AE409"
    assert probe_refusal("series", clock, path="s.npy", window=Window(length=5), columns=["a"]).code == "AE409"


def test_a_count_is_one_of_windows(clock: Path) -> None:
    splits = load("series", clock, path="s.npy", window=Window(length=20, stride=10), split={"validation": 7, "test": 3})
    assert (splits.info.counts["validation"], splits.info.counts["test"]) == (7, 3)


@pytest.mark.parametrize("length", [81, 101, 1001])
def test_windows_that_do_not_fit(clock: Path, length: int) -> None:
    split = {"validation": 0.08, "test": 0.2}
    for name in ("s.npy", "s.csv"):
        assert refusal("series", clock, path=name, window=Window(length=length), split=split).code == "AE416"
    assert probe_refusal("series", clock, path="s.npy", window=Window(length=length), split=split).code == "AE416"


def test_one_series_needs_a_window(clock: Path) -> None:
    for name in ("s.csv", "s.npy"):
        assert probe_refusal("series", clock, path=name).code == "AE416"


def test_many_series_are_whole_or_divided_before_they_are_cut(tmp_path: Path) -> None:
    series = np.arange(40)[:, None, None] * 100 + np.arange(30.0)[None, :, None]
    np.savez(tmp_path / "s.npz", x=series)
    whole = load("series", tmp_path, path="s.npz", scale="none")
    assert whole.info.value == Sequence(30, 1)
    assert whole.info.counts == {"train": 32, "validation": 4, "test": 4}
    cut = load("series", tmp_path, path="s.npz", scale="none", window=Window(length=10, stride=10))
    assert cut.info.counts == {"train": 96, "validation": 12, "test": 12}
    owners = [set((part.x // 100).astype(int).ravel()) for part in (cut.train, cut.validation, cut.test)]
    assert len(owners[0] | owners[1] | owners[2]) == 40 == sum(map(len, owners))
    assert owners[2] == set((whole.test.x // 100).astype(int).ravel())
    np.savez(tmp_path / "p.npz", x_train=series, x_test=series[:5])
    assert load("series", tmp_path, path="p.npz", window=Window(length=29)).info.counts == {"train": 72, "validation": 8, "test": 10}


def test_the_bad_step_is_named(tmp_path: Path) -> None:
    values = np.zeros((300, 2))
    values[123, 1] = np.nan
    np.save(tmp_path / "s.npy", values)
    found = refusal("series", tmp_path, path="s.npy", window=Window(length=10, stride=10))
    assert found.code == "AE405"
    assert "the window from row 120" in found.message


def test_arrays_of_other_ranks(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.arange(200.0))
    assert load("series", tmp_path, path="one.npy", window=Window(length=10)).info.value == Sequence(10, 1)
    np.save(tmp_path / "four.npy", np.zeros((5, 5, 5, 5)))
    assert refusal("series", tmp_path, path="four.npy", window=Window(length=2)).code == "AE413"
    np.savez(tmp_path / "two.npz", x_train=np.zeros((50, 2)), x_test=np.zeros((50, 2)))
    assert refusal("series", tmp_path, path="two.npz", window=Window(length=2)).code == "AE413"


def test_scaling_sees_training_blocks_only(clock: Path) -> None:
    splits = load("series", clock, path="s.npy", window=Window(length=10, stride=10), scale="unit")
    assert splits.train.x.max() == 1
    assert (splits.test.x == 1).all()
    assert any("clipped" in note for note in splits.notes)
