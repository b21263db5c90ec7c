"""Images that are not 8 bit, and files of several frames: kept, told, or refused."""

from __future__ import annotations

import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal
from PIL import Image

import aebuild.data.image_decoding
from aebuild.lang.dataset import Where
from aebuild.lang.values import Grid

RANDOM = np.random.default_rng(0)
SAMPLE_FORMAT = 339
ENDS = {"float32": (-3.5, 400.25), "int32": (-70_000, 70_000), "uint16": (0, 4095)}


def write(folder: Path, numbers: str, count: int = 6, ending: str = "tif") -> np.ndarray:
    """Images [n, 5, 6] that reach both ends of their numbers."""
    low, high = ENDS[numbers]
    values = RANDOM.uniform(low, high, (count, 5, 6)).astype(numbers)
    values[:, 0, 0], values[:, 0, 1] = low, high
    folder.mkdir(exist_ok=True)
    for number, plane in enumerate(values):
        Image.fromarray(plane).save(folder / f"{number}.{ending}")
    return values


@pytest.mark.parametrize(("numbers", "ending"), [("float32", "tif"), ("int32", "tif"), ("uint16", "tif"), ("uint16", "png")])
def test_numbers_are_kept_and_their_range_is_told(tmp_path: Path, numbers: str, ending: str) -> None:
    values = write(tmp_path / "scans", numbers, ending=ending)
    splits = load("images", tmp_path, path="scans", scale="none")
    order = np.random.RandomState(42).permutation(6)
    assert (splits.train.x[:, 0] == values[order[:4]]).all()
    told = part_of("images", path="scans").probe(Where(tmp_path)).notes
    assert len(told) == 1
    assert all(f"{end:,.6g}" in told[0] for end in ENDS[numbers])
    assert "`scale: " in told[0]
    scaled = load("images", tmp_path, path="scans")
    assert scaled.info.notes == told
    assert told[0] in scaled.notes
    with tarfile.open(tmp_path / "scans.tar", "w") as archive:
        for file in sorted((tmp_path / "scans").iterdir()):
            archive.add(file, file.name)
    packed = load("webdataset", tmp_path, path="scans.tar", scale="none")
    assert (packed.train.x == splits.train.x).all()
    assert load("webdataset", tmp_path, path="scans.tar").info.notes == told
    if numbers != "uint16":
        assert (scaled.train.x.min(), scaled.train.x.max()) == (0, 1)


def test_twelve_bits_in_sixteen_are_told_with_a_scale(tmp_path: Path) -> None:
    write(tmp_path / "scans", "uint16")
    told = part_of("images", path="scans").probe(Where(tmp_path)).notes[0]
    assert "`scale: standard`" in told
    assert part_of("images", path="scans", scale="standard").probe(Where(tmp_path)).notes == ()
    np.save(tmp_path / "scans.npy", RANDOM.integers(0, 4096, (9, 1, 5, 6)).astype(np.uint16))
    assert "`scale: standard`" in load("arrays", tmp_path, path="scans.npy").notes[0]
    full = RANDOM.integers(0, 65536, (9, 1, 5, 6)).astype(np.uint16)
    np.save(tmp_path / "scans.npy", full)
    assert load("arrays", tmp_path, path="scans.npy").notes == ()


def test_resizing_keeps_the_numbers(tmp_path: Path) -> None:
    for numbers in ENDS:
        values = write(tmp_path / numbers, numbers)
        small = load("images", tmp_path, path=numbers, scale="none", size=3).train.x
        assert values.min() <= small.min() < small.max() <= values.max()


def test_what_would_come_out_as_other_numbers_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "scans", "float32")
    for channels in ("rgb", "rgba"):
        assert probe_refusal("images", tmp_path, path="scans", channels=channels).code == "AE419"
    for name, image, sign in (("without", Image.new("I", (4, 4), 5), 1), ("with", Image.new("L", (4, 4), 5), 2)):
        (tmp_path / name).mkdir()
        for number in range(4):
            image.save(tmp_path / name / f"{number}.tif", tiffinfo={SAMPLE_FORMAT: 2})
            signed(tmp_path / name / f"{number}.tif", sign)
        found = probe_refusal("images", tmp_path, path=name)
        assert found.code == "AE419"
        assert f"{name} a sign" in found.message


def signed(path: Path, sign: int) -> None:
    """Writes another SampleFormat into a TIFF: 1 is without a sign, 2 with one."""
    data = path.read_bytes()
    entry = data.index(SAMPLE_FORMAT.to_bytes(2, "little") + b"\3\0\1\0\0\0")
    path.write_bytes(data[:entry + 8] + sign.to_bytes(2, "little") + data[entry + 10:])


@pytest.mark.parametrize("probed", [1, 16])
def test_images_of_unlike_numbers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probed: int) -> None:
    monkeypatch.setattr(aebuild.data.image_decoding, "PROBED", probed)
    write(tmp_path / "scans", "float32")
    Image.new("L", (6, 5)).save(tmp_path / "scans" / "9.tif")
    assert (refusal if probed == 1 else probe_refusal)("images", tmp_path, path="scans").code == "AE406"


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)) + chunk(
    b"IDAT", zlib.compress(b"".join(b"\0" + bytes(24) for _ in range(4)))) + chunk(b"IEND", b"")
BMP = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 86, 0, 0, 54, 40, 4, 4, 1, 16, 0, 32, 0, 0, 0, 0) + bytes(32)


@pytest.mark.parametrize(("contents", "ending", "told"), [
    (PNG, "png", True), (b"P6 4 4 65535\n" + bytes(96), "ppm", True), (b"P6 4 4 100\n" + bytes(48), "ppm", False), (BMP, "bmp", False)])
def test_colour_of_more_than_eight_bits_is_told(tmp_path: Path, contents: bytes, ending: str, told: bool) -> None:
    for number in range(4):
        (tmp_path / f"{number}.{ending}").write_bytes(contents)
    notes = load("images", tmp_path, path=".").notes
    assert [note.partition(".")[2] for note in notes] == [
        f"{ending} has more than 8 bits a channel, of which 8 are read: only grey images without transparency keep all"] * told


@pytest.mark.parametrize("ending", ["tif", "gif"])
def test_frames_are_samples_where_asked_else_it_is_said(tmp_path: Path, ending: str) -> None:
    for name, count in (("a", 3), ("b", 4)):
        (tmp_path / "stacks" / name).mkdir(parents=True)
        for number in range(2):
            pages = [Image.fromarray(np.full((5, 6), 10 * number + page, np.uint8)) for page in range(count)]
            pages[0].save(tmp_path / "stacks" / name / f"{number}.{ending}", save_all=True, append_images=pages[1:])
    first = load("images", tmp_path, path="stacks")
    assert "3 frames, and only the first" in first.notes[0]
    assert "`frames: all`" in first.info.notes[0]
    assert load("images", tmp_path, path="stacks", frames="first").notes == ()
    every = load("images", tmp_path, path="stacks", frames="all", channels="gray", scale="none", split={"validation": 1, "test": 1})
    assert every.info.counts == {"train": 12, "validation": 1, "test": 1}
    assert every.info.value == Grid(1, (5, 6))
    values = np.concatenate([part.x[:, 0, 0, 0] for part in (every.train, every.validation, every.test)])
    assert sorted(values) == sorted([*range(3), *range(10, 13), *range(4), *range(10, 14)])
    held = np.concatenate([part.labels for part in (every.train, every.validation, every.test)])
    assert np.bincount(held).tolist() == [6, 8]
