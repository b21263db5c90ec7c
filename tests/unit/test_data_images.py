from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal
from PIL import Image

import aebuild.data.image_decoding
from aebuild.data.image_resize import cover, fit_size
from aebuild.lang.dataset import Where
from aebuild.lang.values import Grid, Range

RANDOM = np.random.default_rng(0)


def draw(path: Path, size: tuple[int, int] = (6, 8), mode: str = "RGB") -> np.ndarray:
    """Saves a random image and returns its pixels."""
    bands = {"L": 1, "RGB": 3, "RGBA": 4, "LA": 2}[mode]
    pixels = RANDOM.integers(0, 256, (*size, bands), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if bands == 1 else pixels, mode=None).save(path)
    return pixels


def test_a_flat_folder(tmp_path: Path) -> None:
    pixels = [draw(tmp_path / f"{number:02}.png") for number in range(12)]
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    splits = load("images", tmp_path, path=".", scale="none")
    assert splits.info.value == Grid(3, (6, 8))
    assert splits.train.labels is None
    order = np.random.RandomState(42).permutation(12)
    assert (splits.train.x[0] == pixels[order[0]].transpose(2, 0, 1)).all()
    assert "1 other file" in splits.info.detected
    assert splits.info.range == Range(0, 255)


def test_one_folder_a_class(tmp_path: Path) -> None:
    for name in ("dog", "cat"):
        for number in range(10):
            draw(tmp_path / name / f"{number}.png", mode="L")
    splits = load("images", tmp_path, path=".")
    assert splits.class_names == ("cat", "dog")
    assert splits.info.value == Grid(1, (6, 8))
    assert splits.train.labels is not None
    assert set(splits.train.labels) == {0, 1}
    assert part_of("images", path=".").count_classes(Where(tmp_path)) == 2


def test_train_and_test_folders_are_kept(tmp_path: Path) -> None:
    for part, size in (("train", 9), ("test", 4)):
        for name in ("a", "b"):
            for number in range(size):
                draw(tmp_path / part / name / f"{number}.png")
    splits = load("images", tmp_path, path=".", split={"validation": 2})
    assert splits.info.counts == {"train": 16, "validation": 2, "test": 8}
    assert probe_refusal("images", tmp_path, path=".", split={"test": 2}).code == "AE413"


def test_mixed_sizes_name_two_files_unless_size_is_given(tmp_path: Path) -> None:
    for number in range(5):
        draw(tmp_path / f"{number}.png")
    draw(tmp_path / "9.png", (7, 8))
    found = probe_refusal("images", tmp_path, path=".")
    assert found.code == "AE406"
    assert "0.png" in found.message
    assert "9.png" in found.message
    assert found.fix == "size: [6, 8]"
    assert load("images", tmp_path, path=".", size=4, pad=1).info.value == Grid(3, (6, 6))


def test_a_late_image_of_another_size_or_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aebuild.data.image_decoding, "PROBED", 2)
    for number in range(5):
        draw(tmp_path / f"{number}.png", mode="L")
    draw(tmp_path / "9.png", mode="RGB")
    assert "9.png has colour" in refusal("images", tmp_path, path=".").message
    assert load("images", tmp_path, path=".", channels="rgb").info.value == Grid(3, (6, 8))
    assert load("images", tmp_path, path=".", channels="gray").info.value == Grid(1, (6, 8))
    draw(tmp_path / "9.png", (3, 3), mode="L")
    assert refusal("images", tmp_path, path=".").code == "AE406"


def test_transparency_is_laid_on_white_or_kept(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGBA", (5, 5), (10, 20, 30, 0)).save(tmp_path / f"{number}.png")
    assert (load("images", tmp_path, path=".", scale="none").train.x == 255).all()
    kept = load("images", tmp_path, path=".", scale="none", channels="rgba")
    assert kept.info.value == Grid(4, (5, 5))
    assert (kept.train.x[:, 3] == 0).all()


def test_the_orientation_of_the_camera_is_obeyed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(4):
        Image.fromarray(RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(tmp_path / f"{number}.jpg", exif=exif)
    assert load("images", tmp_path, path=".").info.value == Grid(3, (8, 6))


def test_sixteen_bits(tmp_path: Path) -> None:
    for number in range(4):
        Image.fromarray(np.full((5, 5), 1000 * number + 60000, np.uint16)).save(tmp_path / f"{number}.png")
    splits = load("images", tmp_path, path=".", scale="none")
    assert splits.info.range == Range(0, 65535)
    assert splits.train.x.max() >= 60000
    assert load("images", tmp_path, path=".", size=3).train.x.max() <= 1
    draw(tmp_path / "9.png", (5, 5), mode="L")
    assert refusal("images", tmp_path, path=".").code == "AE406"


def test_palettes_and_formats(tmp_path: Path) -> None:
    base = Image.fromarray(RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    for number, ending in enumerate(("png", "jpg", "bmp", "gif", "tiff", "webp", "ppm")):
        base.save(tmp_path / f"{number}.{ending}")
    assert load("images", tmp_path, path=".").info.value == Grid(3, (6, 8))


@pytest.mark.parametrize("kind", ["cut", "empty", "other", "folder"])
def test_damaged_images_are_named(tmp_path: Path, kind: str) -> None:
    for number in range(5):
        draw(tmp_path / f"{number}.png", (40, 40))
    bad = tmp_path / "3.png"
    data = bad.read_bytes()
    bad.unlink()
    if kind == "folder":
        bad.symlink_to("nowhere")
    else:
        bad.write_bytes({"cut": data[:len(data) // 2], "empty": b"", "other": b"\x89PNG\r\n\x1a\nhello"}[kind])
    found = refusal("images", tmp_path, path=".")
    assert found.code == "AE403"
    assert "3.png" in found.message


def test_bombs_are_refused_by_their_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side, name in ((60_000, "a"), (10_000, "b")):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR",
                                                                                         struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
                                                            + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))
        assert refusal("images", tmp_path, path=name, size=8).code == "AE404"


def test_folders_without_images(tmp_path: Path) -> None:
    assert refusal("images", tmp_path, path=".").code == "AE407"
    (tmp_path / "file").touch()
    assert refusal("images", tmp_path, path="file").code == "AE401"
    assert refusal("images", tmp_path, path="absent").code == "AE401"
    draw(tmp_path / "a" / "b" / "0.png")
    assert refusal("images", tmp_path, path=".").code == "AE402"
    draw(tmp_path / "a" / "0.png")
    assert refusal("images", tmp_path, path=".").code == "AE402"


def test_images_beside_folders_of_images_and_loops_of_links(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / f"{number}.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert refusal("images", tmp_path, path=".").code == "AE402"
    (tmp_path / "loop").unlink()
    (tmp_path / "self").symlink_to("self")
    load("images", tmp_path, path=".", split={"validation": 1, "test": 1})
    draw(tmp_path / "cats" / "0.png")
    assert refusal("images", tmp_path, path=".").code == "AE402"


def test_one_image_is_too_few(tmp_path: Path) -> None:
    draw(tmp_path / "0.png")
    assert probe_refusal("images", tmp_path, path=".").code == "AE407"


def test_strange_names(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / f"{number}.png")
    (tmp_path / "3.png").rename(tmp_path / "3\x1b[0m\n.png")
    (tmp_path / "3\x1b[0m\n.png").write_bytes(b"")
    found = refusal("images", tmp_path, path=".")
    assert "\x1b" not in found.message
    assert "\n" not in found.message


def test_only_what_is_used_is_decoded(tmp_path: Path) -> None:
    for number in range(30):
        draw(tmp_path / f"{number:02}.png")
    unused = np.random.RandomState(42).permutation(30)[20]
    (tmp_path / f"{unused:02}.png").write_bytes(b"damaged")
    aebuild.data.image_decoding.PROBED, before = 1, aebuild.data.image_decoding.PROBED
    try:
        assert len(load("images", tmp_path, path=".", limit=5).train) == 5
    finally:
        aebuild.data.image_decoding.PROBED = before


@pytest.mark.parametrize(("width", "height", "size"), [(28, 28, (50, 70)), (640, 427, (32, 32)), (5, 90, (9, 3))])
def test_the_crop_is_the_largest_middle_of_the_right_proportions(width: int, height: int, size: tuple[int, int]) -> None:
    left, top, right, bottom = cover(width, height, size)
    assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0])
    assert left >= -1e-9
    assert top >= -1e-9
    assert min(left, top) == pytest.approx(0)
    assert left == pytest.approx(width - right)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64", "bool"])
def test_resizing_stays_in_range_and_halving_averages(dtype: str) -> None:
    flat = np.full((2, 3, 8, 8), 1 if dtype == "bool" else 200).astype(dtype)
    assert (fit_size(flat, (5, 11)) == flat[0, 0, 0, 0]).all()
    noise = RANDOM.integers(0, 2 if dtype == "bool" else 256, (2, 1, 8, 8)).astype(dtype)
    small = fit_size(noise, (4, 4))
    assert small.min() >= noise.min()
    assert small.max() <= noise.max()
    assert small.shape == (2, 1, 4, 4)
