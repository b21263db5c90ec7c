"""Data that stay on disk are the data in memory; broken and hostile shards are named."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal, survives
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from shard_making import make_pictures, npy, png, write_parquets, write_picture_tars, write_tar

import aebuild.data.errors
from aebuild.data.assemble import load_splits
from aebuild.data.detect import detect
from aebuild.lang.dataset import Where
from aebuild.lang.splits import Split, Splits
from aebuild.lang.values import Grid, Sequence, Vector

RANDOM = np.random.default_rng(1)


def same_samples(streamed: Splits, held: Splits) -> None:
    """The same samples with the same labels in each part, up to their order in it, and the same scaling."""
    assert streamed.streamed
    assert not held.streamed
    assert streamed.info == held.info
    assert (streamed.scaling.low, streamed.scaling.high, streamed.scaling.kind) == (held.scaling.low, held.scaling.high, held.scaling.kind)
    for name in ("train", "validation", "test"):
        one, other = (getattr(splits, name) for splits in (streamed, held))
        assert _sorted(one) == pytest.approx(_sorted(other), rel=1e-6, abs=1e-6), name


def _sorted(split: Split) -> Any:
    labels = np.zeros(len(split)) if split.labels is None else split.labels
    aims = [] if split.target is None else [split.target.reshape(len(split), -1)]
    rows = np.column_stack([split.x.reshape(len(split), -1), *aims, labels]).astype(np.float64)
    return rows[np.lexsort(np.round(rows, 4).T)]


@pytest.mark.parametrize("ending", ["png", "npy"])
@pytest.mark.parametrize("fields", [{}, {"scale": "standard"}, {"scale": "signed", "limit": 20, "labels": 7}, {"size": 8, "pad": 1},
                                    {"scale": "integer", "split": {"validation": 0.3, "test": 5, "seed": 3}}])
def test_tars_on_disk_are_tars_in_memory(tmp_path: Path, ending: str, fields: dict[str, Any]) -> None:
    pixels = make_pictures()
    write_picture_tars(tmp_path / "tars", pixels, ending=ending)
    held = load("webdataset", tmp_path, path="tars", **fields)
    same_samples(load("webdataset", tmp_path, path="tars", stream=True, **fields), held)
    assert held.class_names == ("0", "1", "2")
    if not fields:
        assert held.info.value == Grid(1, (4, 6))
        order = np.random.RandomState(42).permutation(90)
        assert (held.train.x[:, 0] == (pixels[order[:72]] / 255).astype(np.float32)).all()
        assert held.train.labels is not None
        assert (held.train.labels == order[:72] % 3).all()


@pytest.mark.parametrize("fields", [{}, {"scale": "unit"}, {"label": "kind", "labels": 9}, {"columns": ["a", "c"], "target": "b"},
                                    {"label": "kind", "exclude": "x", "scale": "none"}])
def test_parquet_on_disk_is_parquet_in_memory(tmp_path: Path, fields: dict[str, Any]) -> None:
    from aebuild.lang.dataset import Exclude

    kinds = [("x", "y", "z")[row % 3] for row in range(100)]
    columns = {"a": RANDOM.normal(size=100), "b": np.arange(100), "c": np.ones(100)} | ({"kind": kinds} if "label" in fields else {})
    write_parquets(tmp_path / "rows", columns)
    if "exclude" in fields:
        fields = fields | {"exclude": Exclude(label=fields["exclude"])}
    held = load("table", tmp_path, path="rows", **fields)
    same_samples(load("table", tmp_path, path="rows", stream=True, **fields), held)
    assert "in 3 .parquet files of 100 rows" in held.info.detected


@pytest.mark.parametrize("deep", [False, True])
def test_folders_on_disk_are_folders_in_memory(tmp_path: Path, deep: bool) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(20):
            pixels = RANDOM.integers(0, 60_000 if deep else 256, (5, 4)).astype(np.uint16 if deep else np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    same_samples(load("images", tmp_path, path=".", stream=True), load("images", tmp_path, path="."))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.dtype(">f4"), np.bool_])
def test_an_array_on_disk_is_the_array_in_memory(tmp_path: Path, dtype: Any) -> None:
    np.save(tmp_path / "x.npy", RANDOM.integers(0, 200, (60, 5, 4, 3)).astype(dtype))
    for scale in (None, "standard"):
        same_samples(load("arrays", tmp_path, path="x.npy", stream=True, scale=scale), load("arrays", tmp_path, path="x.npy", scale=scale))


def test_standard_scaling_takes_one_reading_and_says_so(tmp_path: Path) -> None:
    values = RANDOM.normal(1e3, 2, size=(3000, 2))
    write_parquets(tmp_path / "rows", {"a": values[:, 0], "b": values[:, 1], "c": np.full(3000, 0.1)}, group=100)
    told: list[str] = []
    streamed = load_splits(part_of("table", path="rows", stream=True), Where(tmp_path, say=told.append))
    held = load("table", tmp_path, path="rows")
    assert told == ["reading 2,400 training samples once to fit the scaling `standard`"]
    assert streamed.scaling.offset == pytest.approx(held.scaling.offset, rel=1e-12)
    assert streamed.scaling.factor == pytest.approx(held.scaling.factor, rel=1e-9)
    assert (streamed.train.x[:, 2] == 0).all()


def test_what_is_larger_than_half_of_the_memory_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_picture_tars(tmp_path / "tars", make_pictures())
    monkeypatch.setattr(aebuild.data.streamed, "memory", lambda: 2 * 90 * 24)
    assert not load("webdataset", tmp_path, path="tars").streamed
    monkeypatch.setattr(aebuild.data.streamed, "memory", lambda: 2 * 90 * 24 - 2)
    splits = load("webdataset", tmp_path, path="tars")
    assert splits.streamed
    assert "read from disk batch by batch" in splits.notes[0]
    assert not load("webdataset", tmp_path, path="tars", stream=False).streamed


def test_a_container_sets_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = aebuild.data.errors.memory()
    for text, wanted in (("4000\n", 3000), ("max\n", None)):
        (tmp_path / "memory.max").write_text(text)
        monkeypatch.setattr(aebuild.data.errors, "CONTAINER", tmp_path / "memory.max")
        assert aebuild.data.errors.memory() == (wanted or max(whole, aebuild.data.errors.memory()))


def test_parts_are_told_by_the_names_of_archives(tmp_path: Path) -> None:
    for part, count in (("train", 9), ("test", 4)):
        write_tar(tmp_path / f"{part}-0000.tar", {f"{row}.npy": npy(np.full(3, row, np.float32)) for row in range(count)})
    for stream in (False, True):
        splits = load("webdataset", tmp_path, path=".", stream=stream, split={"validation": 2}, scale="none")
        assert splits.info.counts == {"train": 7, "validation": 2, "test": 4}
        assert splits.info.value == Vector(3)
        assert sorted(splits.test.x[:, 0]) == [0, 1, 2, 3]


def test_arrays_of_any_byte_order_and_axis_order_are_read(tmp_path: Path) -> None:
    values = RANDOM.normal(size=(20, 3, 4)).astype(np.float32)
    for change in (lambda a: a, lambda a: a.astype(">f4"), np.asfortranarray):
        write_tar(tmp_path / "a.tar", {f"{row}.npy": npy(change(values[row]) if row != 7 else values[row]) for row in range(20)})
        splits = load("webdataset", tmp_path, path="a.tar", scale="none")
        order = np.random.RandomState(42).permutation(20)
        assert (splits.train.x == values[order[:16]]).all()


def test_shards_are_detected(tmp_path: Path) -> None:
    write_picture_tars(tmp_path / "tars", make_pictures(9))
    write_parquets(tmp_path / "rows", {"a": np.arange(30.0)})
    assert [detect(path, tmp_path) for path in ("tars", "tars/shard-0000.tar", "rows")] == ["webdataset", "webdataset", "table"]
    assert detect("rows", tmp_path, {"window"}) == "series"
    assert load("series", tmp_path, path="rows", window=part_window(3)).info.value == Sequence(3, 1)


def part_window(length: int) -> Any:
    """A window of so many steps."""
    from aebuild.lang.dataset import Window

    return Window(length=length)


def test_looking_reads_the_first_headers_only(tmp_path: Path) -> None:
    write_picture_tars(tmp_path / "tars", make_pictures(), shards=3)
    (tmp_path / "tars" / "shard-0002.tar").write_bytes(b"no tar at all" * 100)
    info = part_of("webdataset", path="tars").probe(Where(tmp_path))
    assert (info.value, info.labelled, info.classes) == (Grid(1, (4, 6)), True, None)
    found = refusal("webdataset", tmp_path, path="tars")
    assert found.code == "AE403"
    assert "shard-0002.tar" in found.message


# ------------------------------------------------------------------------------------------------ what stands in archives


def odd_tar(path: Path, *infos: tarfile.TarInfo) -> Path:
    """An archive of one good sample and then these headers, each with its claimed size of zeros."""
    with tarfile.open(path, "w") as archive:
        for info, data in [(tarfile.TarInfo(f"{number}.npy"), npy(np.zeros(2))) for number in range(20)] + [(i, bytes(i.size)) for i in infos]:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def odd(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    """A header."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    odd_tar(tmp_path / "a.tar", odd("evil.npy", kind, target="/etc/passwd"))
    assert sum(map(len, vars_of(load("webdataset", tmp_path, path="a.tar")))) == 20


def vars_of(splits: Splits) -> list[Split]:
    """The three parts."""
    return [splits.train, splits.validation, splits.test]


@pytest.mark.parametrize("name", ["/etc/x.npy", "a/../../x.npy", "../x.npy"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    odd_tar(tmp_path / "a.tar", odd(name, size=10))
    found = refusal("webdataset", tmp_path, path="a.tar")
    assert (found.code, name in found.message) == ("AE403", True)
    assert not list(tmp_path.glob("**/*.npy"))


def test_absurd_sizes_are_refused(tmp_path: Path) -> None:
    path = odd_tar(tmp_path / "a.tar")
    info = odd("big.npy", size=1 << 40)
    raw = path.read_bytes().rstrip(b"\0")
    raw += bytes(-len(raw) % 512)
    for tail in (info.tobuf(), odd("long", tarfile.GNUTYPE_LONGNAME, 1 << 40).tobuf(), odd("pax", tarfile.XHDTYPE, 1 << 30).tobuf()):
        path.write_bytes(raw + tail + bytes(1024))
        found = refusal("webdataset", tmp_path, path="a.tar")
        assert found.code == "AE403"
        assert "a.tar" in found.message


@pytest.mark.parametrize("cut", [100, 700, 5_000, 10_240])
def test_an_archive_without_its_end_is_named(tmp_path: Path, cut: int) -> None:
    path = odd_tar(tmp_path / "a.tar")
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    found = refusal("webdataset", tmp_path, path="a.tar")
    assert found.code == "AE403"
    assert "a.tar" in found.message


def test_a_damaged_header_in_the_middle_is_no_end(tmp_path: Path) -> None:
    path = odd_tar(tmp_path / "a.tar")
    whole = bytearray(path.read_bytes())
    whole[5 * 1024 + 3] ^= 0xFF
    path.write_bytes(whole)
    found = refusal("webdataset", tmp_path, path="a.tar")
    assert "at byte 5,120" in found.message


def test_a_compressed_archive_wants_unpacking(tmp_path: Path) -> None:
    import gzip

    path = odd_tar(tmp_path / "a.tar")
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert "compressed" in probe_refusal("webdataset", tmp_path, path="a.tar").message


def test_samples_that_do_not_fit_are_named(tmp_path: Path) -> None:
    good = {f"{row}.npy": npy(np.zeros(4, np.float32)) for row in range(20)}
    for bad, code in ((npy(np.zeros(5, np.float32)), "AE406"), (npy(np.zeros(4)), "AE406"), (b"no array", "AE403"),
                      (npy(np.zeros(4, np.float32))[:-3], "AE403"), (npy(np.full(4, np.nan, np.float32)), "AE405")):
        write_tar(tmp_path / "a.tar", good | {"x.npy": bad})
        found = refusal("webdataset", tmp_path, path="a.tar")
        assert (found.code, "member x.npy" in found.message) == (code, True), found.message
    write_tar(tmp_path / "a.tar", good | {"x.cls": b"1"})
    assert "has no .npy" in refusal("webdataset", tmp_path, path="a.tar").message
    write_tar(tmp_path / "a.tar", {"x.npy": b"", "x.png": png(make_pictures(1)[0])})
    assert "npy, png" in probe_refusal("webdataset", tmp_path, path="a.tar").message
    write_tar(tmp_path / "a.tar", {"x.cls": b"1" * 1000} | good)
    assert probe_refusal("webdataset", tmp_path, path="a.tar").code == "AE403"


def test_a_damaged_image_on_disk_is_named_when_it_is_read(tmp_path: Path) -> None:
    members = {f"{row:02}.png": png(make_pictures(1)[0]) for row in range(30)}
    members["29.png"] = members["29.png"][:45]
    write_tar(tmp_path / "a.tar", members)
    splits = load("webdataset", tmp_path, path="a.tar", stream=True)
    with pytest.raises(Exception, match=r"a\.tar, member 29\.png is a damaged image"):
        _ = [split.x for split in vars_of(splits)]


def test_broken_parquet_shards_are_named(tmp_path: Path) -> None:
    write_parquets(tmp_path / "rows", {"a": np.arange(90.0)})
    (tmp_path / "rows" / "part-0001.parquet").write_bytes(b"PAR1 not")
    assert "part-0001.parquet" in refusal("table", tmp_path, path="rows").message
    write_parquets(tmp_path / "more", {"a": np.arange(90.0)})
    write_parquets(tmp_path / "others", {"b": np.arange(90.0)}, files=1)
    (tmp_path / "others" / "part-0000.parquet").rename(tmp_path / "more" / "part-0002.parquet")
    found = probe_refusal("table", tmp_path, path="more")
    assert (found.code, "part-0002.parquet" in found.message) == ("AE411", True)
    empty = tmp_path / "rows" / "inner"
    empty.mkdir()
    assert probe_refusal("table", tmp_path, path="rows/inner").code == "AE407"


def test_a_bad_cell_on_disk_is_named_when_it_is_read(tmp_path: Path) -> None:
    values = np.arange(100.0)
    values[77] = np.nan
    write_parquets(tmp_path / "rows", {"a": values}, files=2)
    found = refusal("table", tmp_path, path="rows", stream=True)
    assert (found.code, "part-0001.parquet, row 27, column a" in found.message) == ("AE405", True)


def test_stream_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n" + "1\n" * 30)
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 2)))
    assert refusal("table", tmp_path, path="a.csv", stream=True).code == "AE413"
    assert refusal("arrays", tmp_path, path="a.npz", stream=True).code == "AE413"


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_in_an_archive_end_in_a_message(tmp_path: Path, data: st.DataObject) -> None:
    path = odd_tar(tmp_path / "a.tar", odd("folder", tarfile.DIRTYPE), odd("x" * 150 + ".npy", size=30))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw) - 1))
        raw[start:start + 8] = data.draw(st.binary(min_size=1, max_size=12))
    path.write_bytes(raw)
    survives("webdataset", tmp_path, path="a.tar", stream=data.draw(st.booleans()))
