"""Clips: folders of frames and animations as grids of time, and images with holes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import called
from data_making import load, part_of, probe_refusal, refusal
from PIL import Image

import aebuild
from aebuild.lang.values import Grid

DRAW = np.random.RandomState(0)
FRAMES = DRAW.randint(0, 256, (6, 5, 4, 8), np.uint8)          # 6 clips of 5 frames


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips as folders, three as animations; the first is longer by two frames."""
    (tmp_path / "clips").mkdir()
    for number, clip in enumerate(FRAMES):
        place = tmp_path / "clips" / f"{number}"
        images = [Image.fromarray(frame) for frame in (*clip, *clip[:2 * (number == 0)])]
        if number % 2:
            images[0].save(place.with_suffix(".tif"), save_all=True, append_images=images[1:])
            continue
        place.mkdir()
        for frame, image in enumerate(images):
            image.save(place / f"{frame:02}.png")
    return tmp_path


def test_clips_are_grids_of_time_height_and_width(clips: Path) -> None:
    splits = load("video", clips, path="clips", scale="none", split={"validation": 1, "test": 1})
    assert splits.info.value == Grid(1, (5, 4, 8))
    assert any("1 clip longer than 5 frames" in note for note in splits.notes)
    order = np.random.RandomState(42).permutation(6)
    np.testing.assert_array_equal(np.asarray(splits.train.x)[:, 0], FRAMES[order[:4]])
    thinned = load("video", clips, path="clips", scale="none", every=2, length=2, size=[2, 4], split={"validation": 1, "test": 1})
    assert thinned.info.value == Grid(1, (2, 2, 4))


def test_classes_and_parts_are_folders(clips: Path) -> None:
    for part in ("train", "test"):
        for kind in ("walk", "run"):
            (clips / "all" / part / kind).mkdir(parents=True)
    for number in range(6):
        name = f"{number}" if number % 2 == 0 else f"{number}.tif"
        (clips / "clips" / name).rename(clips / "all" / ("test" if number > 3 else "train") / ("walk", "run")[number % 2] / name)
    splits = load("video", clips, path="all", split={"validation": 0})
    assert splits.class_names == ("run", "walk")
    assert sorted(np.asarray(splits.test.labels).tolist()) == [0, 1]


def test_what_cannot_be_clips_is_said(clips: Path) -> None:
    found = probe_refusal("video", clips, path="clips", length=9)
    assert (found.code, found.fix) == ("AE866", "length: 5")
    (clips / "still").mkdir()
    Image.fromarray(FRAMES[0, 0]).save(clips / "still" / "one.png")
    assert refusal("video", clips, path="still").code == "AE407"


def test_a_run_takes_new_clips_by_their_folder(clips: Path, monkeypatch, capsys) -> None:
    spec = {"name": "clip", "data": {"type": "video", "path": str(clips / "clips"), "split": {"validation": 1, "test": 1}},
            "encoder": [{"conv": {"width": 2, "stride": 2}}], "latent": {"type": "continuous", "dim": 2},
            "train": {"steps": 2, "batch_size": 2, "device": "cpu"}}
    aebuild.train(spec, folder=clips / "run")
    monkeypatch.chdir(clips)
    code, _, told = called(["encode", "run", "clips", "-o", "codes.npz"], monkeypatch, capsys)
    assert code == 0, told
    with np.load(clips / "codes.npz") as held:
        assert len(held["code" if "code" in held else held.files[0]]) == 6


def test_masks_are_holes_that_no_loss_counts(tmp_path: Path) -> None:
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    images, holes = DRAW.randint(0, 256, (10, 4, 6, 3)).astype(np.uint8), DRAW.rand(10, 4, 6) < 0.3
    for number in range(10):
        Image.fromarray(images[number]).save(tmp_path / "photos" / f"{number}.png")
        Image.fromarray((holes[number] * 255).astype(np.uint8)).save(tmp_path / "masks" / f"{number}.png")
    fields = {"path": "photos", "split": {"validation": 2, "test": 2}}
    splits = load("images", tmp_path, mask="masks", missing="mask", **fields)
    order = np.random.RandomState(42).permutation(10)[:6]
    x, known = np.asarray(splits.train.x), np.broadcast_to(~holes[order][:, None], (6, 3, 4, 6))
    np.testing.assert_array_equal(splits.train.beside["mask"], known)
    np.testing.assert_allclose(x[known], images[order].transpose(0, 3, 1, 2)[known] / 255, atol=1e-6)
    filled = images[order].transpose(1, 2, 0, 3)[~holes[order].transpose(1, 2, 0)].mean(0) / 255
    np.testing.assert_allclose([x[:, channel][~known[:, channel]].mean() for channel in range(3)], filled, atol=0.01)
    for wrong in ({"mask": "masks"}, {"missing": "mask"}, {"mask": "masks", "missing": "mask", "target": "photos"}):
        assert probe_refusal("images", tmp_path, **fields, **wrong).code == "AE867"
    for number in range(10):
        Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "masks" / f"{number}.png")
    assert refusal("images", tmp_path, mask="masks", missing="mask", **fields).code == "AE867"
    assert part_of("images", mask="masks", missing="mask", **fields).located(tmp_path).mask == str(tmp_path / "masks")
