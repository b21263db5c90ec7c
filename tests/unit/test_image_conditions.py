"""Images and arrays as conditions: read from data, given by hand, and what a trained model makes of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from command_line import called
from PIL import Image

import aebuild
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.splits import Splits
from aebuild.results.open_run import OpenRun

FOLDER = Path(mkdtemp(prefix="aebuild-image-conditions-"))
RANDOM = np.random.RandomState(0)
PIXELS = RANDOM.randint(0, 256, (40, 8, 8, 3)).astype(np.uint8)
SKETCHES = RANDOM.randint(0, 256, (40, 8, 8)).astype(np.uint8)
POSES = RANDOM.standard_normal((40, 3)) * 5 + 2
MODEL: dict[str, Any] = {"encoder": {"layer": "conv", "width": 4, "stride": 2}, "latent": {"type": "gaussian", "dim": 2},
                         "train": {"steps": 40, "batch_size": 10, "speed": "exact", "optimizer": {"type": "adam", "lr": 0.02}}}


def arrays_file() -> Path:
    path = FOLDER / "pairs.npz"
    np.savez(path, x=PIXELS, sketch=SKETCHES, pose=POSES, age=np.arange(40.0))
    return path


def image_folders() -> dict[str, str]:
    for name, images in (("photos", PIXELS), ("edges", SKETCHES)):
        (FOLDER / name).mkdir(exist_ok=True)
        for row, image in enumerate(images):
            Image.fromarray(image).save(FOLDER / name / f"{row:02}.{'png' if name == 'photos' else 'bmp'}")
    return {"path": str(FOLDER / "photos"), "edges": str(FOLDER / "edges")}


def splits_of(data: dict[str, Any], condition: dict[str, Any]) -> Splits:
    loaded = aebuild.load({**MODEL, "data": data, "condition": condition})
    assert not loaded.errors, [each.message for each in loaded.errors]
    splits = load_splits(loaded.spec.data, Where(FOLDER))
    assert [(each.name, each.kind, each.shape) for each in splits.info.conditions] == [
        (each.name, each.kind, each.shape) for each in loaded.info.conditions]
    return splits


def told(splits: Splits, name: str) -> np.ndarray:
    first, last = splits.info.condition_columns[name]
    return np.concatenate([getattr(splits, part).beside["conditions"][:, first:last] for part in ("train", "validation", "test")])


def seen(splits: Splits) -> np.ndarray:
    """The samples of all parts as bytes, to find out which they are."""
    parts = [getattr(splits, part).inputs for part in ("train", "validation", "test")]
    return np.rint(np.concatenate([each.take(np.arange(len(each))) for each in parts]) * (1 if parts[0].levels is not None else 255))


def rows_of(splits: Splits) -> list[int]:
    """The rows of the file that the samples came from."""
    flat = PIXELS.transpose(0, 3, 1, 2).reshape(40, -1)
    return [int(np.abs(flat - each.reshape(-1)).sum(1).argmin()) for each in seen(splits).astype(np.int64)]


def test_arrays_that_stand_beside_samples_follow_them() -> None:
    """Bytes go from 0 to 1, other numbers are standardised by the training samples, whatever their axes."""
    splits = splits_of({"type": "arrays", "path": str(arrays_file())}, {"sketch": "norm", "pose": "film", "age": "film"})
    assert splits.info.condition_columns == {"sketch": (0, 64), "pose": (64, 67), "age": (67, 68)}
    rows = rows_of(splits)
    assert sorted(rows) == list(range(40))
    np.testing.assert_allclose(told(splits, "sketch"), SKETCHES[rows].reshape(40, -1) / 255, atol=1e-6)
    train = POSES[rows[:len(splits.train)]]
    np.testing.assert_allclose(told(splits, "pose"), (POSES[rows] - train.mean()) / train.std(), atol=1e-5)


def test_a_second_folder_has_the_partner_of_each_image() -> None:
    folders = image_folders()
    splits = splits_of({"type": "images", "path": folders["path"], "beside": {"edges": folders["edges"]}}, {"edges": "concat"})
    assert [each.shape for each in splits.info.conditions] == [(1, 8, 8)]
    np.testing.assert_allclose(told(splits, "edges"), SKETCHES[rows_of(splits)].reshape(40, -1) / 255, atol=1e-6)


def test_images_told_are_resized_and_padded_as_the_samples_are() -> None:
    folders = image_folders()
    splits = splits_of({"type": "images", "path": folders["path"], "beside": {"edges": folders["edges"]}, "size": 4, "pad": 1},
                       {"edges": "concat"})
    assert [each.shape for each in splits.info.conditions] == [(1, 6, 6)]
    assert splits.info.value.shape == (3, 6, 6)
    assert (told(splits, "edges").reshape(-1, 6, 6)[:, 0] == 0).all()


@cache
def trained() -> OpenRun:
    """Told by norms, so that each place of what it makes hears of the sketch there."""
    aebuild.train({**MODEL, "data": {"type": "arrays", "path": str(arrays_file())}, "condition": {"sketch": "norm"}},
                  folder=FOLDER / "run")
    return aebuild.open_run(FOLDER / "run")


def test_samples_follow_what_is_given_in_each_form() -> None:
    """A file of an image, an .npy, an array with or without channels: all the same."""
    run, image = trained(), SKETCHES[0]
    path = FOLDER / "given.png"
    Image.fromarray(image).save(path)
    np.save(FOLDER / "given.npy", image[None])
    made = run.sample(3, seed=1, given={"sketch": image})
    for given in (path, FOLDER / "given.npy", image[None], image[..., None], np.repeat(image[None], 3, 0)):
        assert np.array_equal(run.sample(3, seed=1, given={"sketch": given}), made)
    assert not np.allclose(run.sample(3, seed=1, given={"sketch": 255 - image}), made)


@pytest.mark.parametrize(("given", "code", "said"), [
    (np.zeros((5, 8), np.uint8), "AE864", r"is \[1, 8, 8\], and is given as \[5, 8\]"), ("3", "AE864", "is given the word 3"),
    (Path("nowhere.png"), "AE864", "there is no such file"), (np.zeros((2, 8, 8), np.uint8), "AE864", "given 2 times, and there are 3"),
    (np.full((8, 8), 0.5), "AE480", "as if they were scaled already"), ([[1, 2], [3]], "AE864", "unequal lengths")])
def test_what_is_no_such_image_is_refused(given: Any, code: str, said: str) -> None:
    with pytest.raises(AebuildError, match=said) as caught:
        trained().sample(3, given={"sketch": given})
    assert caught.value.diagnostics[0].code == code


def test_new_data_tell_it_or_are_given_it() -> None:
    """Arrays of a file that has both; else one has to be given, and reconstructions follow it."""
    run = trained()
    np.savez(FOLDER / "new.npz", x=PIXELS[:6], sketch=SKETCHES[:6])
    np.savez(FOLDER / "bare.npz", x=PIXELS[:6])
    made = run.reconstruct(FOLDER / "new.npz")
    assert np.allclose(run.reconstruct(FOLDER / "bare.npz", given={"sketch": SKETCHES[:6]}), made, atol=1e-4)
    assert not np.allclose(run.reconstruct(FOLDER / "new.npz", given={"sketch": SKETCHES[7]}), made)
    with pytest.raises(AebuildError, match="sketch of each sample"):
        run.reconstruct(FOLDER / "bare.npz")
    alone = run.reconstruct(PIXELS[:1], given={"sketch": SKETCHES[:1]})              # whatever else is in the batch
    assert np.allclose(alone, made[:1], atol=1e-4)


def test_the_command_line_takes_files(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    Image.fromarray(SKETCHES[0]).save(FOLDER / "one.png")
    words = ("sample", FOLDER / "run", "--given", f"sketch={FOLDER / 'one.png'}", "-n", 2, "-o", FOLDER / "made.npz")
    code, _, said = called(words, monkeypatch, capsys)
    assert code == 0, said
    with np.load(FOLDER / "made.npz") as made:
        assert len(next(iter(made.values()))) == 2
