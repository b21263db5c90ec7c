"""Folders as data sets are published in: found, or named rightly."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_making import load, part_of, probe_refusal
from PIL import Image

from aebuild.data.detect import detect
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError


def put(folder: Path, count: int = 3) -> None:
    """A folder of images."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("L", (4, 4), number).save(folder / f"{number}.png")


def put_anomalies(root: Path) -> None:
    """Good images to train on, good and bad ones to test on, and masks of the bad ones."""
    put(root / "train" / "good", 12)
    put(root / "test" / "good", 2)
    put(root / "test" / "scratch", 4)
    put(root / "ground_truth" / "scratch", 4)
    (root / "license.txt").touch()


def test_parts_with_masks_beside_them(tmp_path: Path) -> None:
    put_anomalies(tmp_path / "bottle")
    assert detect("bottle", tmp_path) == "images"
    splits = load("images", tmp_path, path="bottle")
    assert splits.info.counts == {"train": 11, "validation": 1, "test": 6}
    assert splits.class_names == ("good", "scratch")
    assert splits.test.labels is not None
    assert splits.test.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert splits.info.notes == ("left out: ground_truth/, beside test/, train/",)
    assert part_of("images", path="bottle").probe(Where(tmp_path)).notes == splits.info.notes


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "train", "plane"):
        put(tmp_path / name)
    splits = load("images", tmp_path, path=".", split={"validation": 1, "test": 1})
    assert splits.class_names == ("bus", "plane", "train")
    assert splits.notes == ()


@pytest.mark.parametrize(("places", "named", "inner"), [
    (["a/b/c", "a/b/d"], "a/b/c", "a/b"), (["cats/2019", "cats/2020", "dogs/2019"], "cats/2019", "cats"), (["a/b/c/d/e"], "a/b/c/d/e", "a/b/c/d")])
def test_images_that_stand_too_deep_are_named_with_a_path_that_works(tmp_path: Path, places: list[str], named: str, inner: str) -> None:
    for place in places:
        put(tmp_path / "all" / place)
    assert detect("all", tmp_path) == "images"
    found = probe_refusal("images", tmp_path, path="all/")
    assert found.code == "AE402"
    assert f"too deep, in {named}/" in found.message
    assert found.fix == f"path: all/{inner}/"
    load("images", tmp_path, path=found.fix.removeprefix("path: "), split={"validation": 1, "test": 1})


def test_several_data_sets_in_one_folder_are_named(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        put_anomalies(tmp_path / "mvtec" / name)
    assert detect("mvtec", tmp_path) == "images"
    found = probe_refusal("images", tmp_path, path="mvtec")
    assert (found.code, found.fix) == ("AE402", "path: mvtec/bottle/")
    assert "parts of their own: bottle/, cable/" in found.message


@pytest.mark.parametrize(("ending", "word"), [("csv", ".parquet")])
def test_one_file_a_series_is_named(tmp_path: Path, ending: str, word: str) -> None:
    (tmp_path / "runs").mkdir()
    for number in range(3):
        path = tmp_path / "runs" / f"{number}.{ending}"
        path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError) as caught:
        detect("runs", tmp_path)
    found = caught.value.diagnostics[0]
    assert (found.code, f"3 files like 0.{ending}" in found.message) == ("AE402", True)
    assert word in (found.fix or "")
