from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from data_making import idx_bytes, load, part_of, probe_refusal, refusal, survives, write_idx
from hypothesis import given, settings
from hypothesis import strategies as st

import aebuild.data.errors
from aebuild.lang.dataset import Where
from aebuild.lang.values import Grid, Vector

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 5, 6), dtype=np.uint8)
LABELS = (np.arange(30) % 3).astype(np.uint8)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_folder_of_pairs_keeps_its_test_part(tmp_path: Path, ending: str) -> None:
    for prefix, size in (("train", 30), ("t10k", 12)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{ending}", IMAGES[:size])
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{ending}", LABELS[:size])
    splits = load("idx", tmp_path.parent, path=tmp_path.name, scale="none")
    assert splits.info.value == Grid(1, (5, 6))
    assert splits.info.counts == {"train": 27, "validation": 3, "test": 12}
    assert (splits.test.x[:, 0] == IMAGES[:12]).all()
    assert (splits.test.labels == LABELS[:12]).all()
    assert part_of("idx", path=tmp_path.name).count_classes(Where(tmp_path.parent)) == 3


def test_one_file_finds_its_labels(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", IMAGES)
    assert load("idx", tmp_path, path=path.name).train.labels is None
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", LABELS)
    assert load("idx", tmp_path, path=path.name).info.classes == 3


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_every_type_is_read(tmp_path: Path, dtype: str) -> None:
    rows = np.arange(-30, 30).reshape(20, 3).astype(dtype)
    write_idx(tmp_path / "rows.idx", rows)
    splits = load("idx", tmp_path, path="rows.idx", scale="none")
    assert splits.info.value == Vector(3)
    found = [value for held in (splits.train, splits.validation, splits.test) for value in held.x[:, 0].tolist()]
    assert sorted(found) == sorted(rows[:, 0].tolist())


def wrong(kind: str) -> bytes:
    good = idx_bytes(IMAGES)
    return {
        "cut": good[:-7], "longer": good + b"x", "magic": b"PNG!" + good[4:], "type": b"\0\0\x77\3" + good[4:], "empty": b"",
        "header": good[:9], "no axes": b"\0\0\x08\0" + good[4:], "cut gzip": gzip.compress(good)[:-20],
        "crc": gzip.compress(good)[:-8] + b"\1\2\3\4" + gzip.compress(good)[-4:], "bad gzip": b"\x1f\x8b" + good[:90],
        "longer gzip": gzip.compress(good + b"x"), "short gzip": gzip.compress(good[:-1]),
        "claims": good[:4] + struct.pack(">3I", 30, 500, 60) + good[16:],
    }[kind]


@pytest.mark.parametrize("kind",
                         ["cut", "longer", "magic", "type", "empty", "header", "no axes", "cut gzip", "crc", "bad gzip", "longer gzip",
                                  "short gzip", "claims"])
def test_damaged_files_are_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "bad-idx").write_bytes(wrong(kind))
    found = refusal("idx", tmp_path, path="bad-idx")
    assert found.code == "AE403"
    assert "bad-idx" in found.message


def test_a_header_that_claims_exabytes_allocates_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad-idx").write_bytes(b"\0\0\x08\3" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1))
    assert refusal("idx", tmp_path, path="bad-idx").code == "AE404"


def test_a_gzip_bomb_stops_at_what_the_header_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bomb-idx.gz").write_bytes(gzip.compress(idx_bytes(IMAGES) + b"\0" * 50_000_000, 9))
    assert "more are there" in refusal("idx", tmp_path, path="bomb-idx.gz").message
    (tmp_path / "big-idx.gz").write_bytes(gzip.compress(idx_bytes(np.zeros((20_000, 100), np.uint8)), 9))
    monkeypatch.setattr(aebuild.data.errors, "memory", lambda: 1 << 20)
    assert refusal("idx", tmp_path, path="big-idx.gz").code == "AE404"


def test_counts_that_disagree(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS[:-1])
    assert probe_refusal("idx", tmp_path.parent, path=tmp_path.name).code == "AE411"
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", IMAGES[:, 1:])
    assert probe_refusal("idx", tmp_path.parent, path=tmp_path.name).code == "AE411"


def test_folders_that_are_not_complete(tmp_path: Path) -> None:
    assert refusal("idx", tmp_path, path=".").code == "AE401"
    write_idx(tmp_path / "t10k-images-idx3-ubyte", IMAGES)
    assert "training part" in refusal("idx", tmp_path, path=".").message
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    assert "no samples" in refusal("idx", tmp_path, path=".").message
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "train-extra-images-idx3-ubyte", IMAGES)
    assert refusal("idx", tmp_path, path=".").code == "AE402"


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60), packed=st.booleans(), magic=st.booleans())
def test_any_bytes_end_in_one_message(tmp_path_factory: pytest.TempPathFactory, data: bytes, packed: bool, magic: bool) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a-idx"
    content = b"\0\0\x08" + data if magic else data
    path.write_bytes(gzip.compress(content) if packed else content)
    survives("idx", path.parent, path=path.name)
