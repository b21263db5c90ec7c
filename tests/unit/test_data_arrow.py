"""Arrow and feather files are the tables that Parquet files are: in memory, from disk, as series and as texts."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, probe_refusal, refusal
from shard_making import in_memory, write_parquets

from aebuild.data.detect import detect
from aebuild.data.formats import columnar
from aebuild.data.formats.arrow import ArrowTable
from aebuild.lang.dataset import Window
from aebuild.lang.diagnostics import DataError
from aebuild.lang.splits import Splits

pa = pytest.importorskip("pyarrow")
ipc = pytest.importorskip("pyarrow.ipc")
feather = pytest.importorskip("pyarrow.feather")
parquet = pytest.importorskip("pyarrow.parquet")
DRAW = np.random.RandomState(3)
COUNT = 120


def columns() -> Any:
    """Numbers, words as a dictionary, truth values, an id and a text."""
    words = pa.array(DRAW.choice(["red", "green", "blue"], COUNT)).dictionary_encode()
    return pa.table({"id": range(COUNT), "a": DRAW.standard_normal(COUNT), "kind": words, "on": DRAW.rand(COUNT) > 0.5,
                     "b": DRAW.randint(0, 9, COUNT).astype(np.int16), "note": [f"note {number} of many" for number in range(COUNT)]})


def stream(table: Any, path: Path, compression: str | None = None) -> None:
    with ipc.new_stream(path, table.schema, options=ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, 17)


def file(table: Any, path: Path) -> None:
    with ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, 17)


FORMS: dict[str, Callable[[Any, Path], None]] = {
    "file.arrow": file, "stream.arrow": stream, "packed.arrows": lambda table, path: stream(table, path, "zstd"),
    "table.feather": lambda table, path: feather.write_feather(table, path, chunksize=17), "table.ipc": file}
TABLE = columns()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("arrow")
    parquet.write_table(TABLE, place / "t.parquet", row_group_size=17)
    for name, write in FORMS.items():
        write(TABLE, place / name)
    return place


def same(first: Splits, second: Splits) -> None:
    for name in ("train", "validation", "test"):
        one, other = getattr(first, name), getattr(second, name)
        assert np.array_equal(one.x, other.x)
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.lengths, other.lengths)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(("kind", "fields"), [
    ("table", {"label": "kind"}), ("table", {"target": "b"}), ("series", {"window": Window(length=8, stride=4), "columns": ["a", "b"]}),
    ("text", {"column": "note"})], ids=["table", "target", "series", "text"])
def test_each_form_is_read_as_parquet_is(folder: Path, name: str, kind: str, fields: dict[str, Any]) -> None:
    same(load(kind, folder, path=name, **fields), load(kind, folder, path="t.parquet", **fields))


@pytest.mark.parametrize("name", FORMS)
def test_batches_are_read_from_disk(folder: Path, name: str) -> None:
    """Both kinds, by record batch; categories too, whose words a stream has in front of the batches."""
    fields: dict[str, Any] = {"columns": ["a", "kind", "b"], "scale": "none"}
    streamed, held = load("table", folder, path=name, stream=True, **fields), load("table", folder, path=name, stream=False, **fields)
    assert streamed.streamed
    rows = columnar.RowGroups(folder / name, {"b": columnar.numbers_of(False), "a": columnar.numbers_of(False)})
    assert np.diff(rows.starts).tolist() == [17] * 7 + [1]
    order = DRAW.permutation(COUNT)
    assert np.array_equal(rows.take(order), np.stack([TABLE["b"].to_numpy(), TABLE["a"].to_numpy()], 1)[order])
    assert sorted(map(tuple, in_memory(streamed).train.x.tolist())) == sorted(map(tuple, held.train.x.tolist()))


def test_a_batch_of_a_stream_has_the_words_that_held_then(tmp_path: Path) -> None:
    """A stream may replace its dictionary between two batches."""
    first = pa.table({"kind": pa.array(["x", "y"]).dictionary_encode()})
    second = pa.table({"kind": pa.array(["q", "w"]).dictionary_encode()})
    with ipc.new_stream(tmp_path / "s.arrow", first.schema) as writer:
        writer.write_table(first)
        writer.write_table(second)
    with ArrowTable(tmp_path / "s.arrow") as table:
        assert [table.group(number, ["kind"])["kind"].to_pylist() for number in range(2)] == [["x", "y"], ["q", "w"]]


def test_a_folder_of_arrow_files_is_a_table(tmp_path: Path) -> None:
    table = {"a": DRAW.standard_normal(90), "b": DRAW.standard_normal(90)}
    write_parquets(tmp_path / "old", table)
    (tmp_path / "new").mkdir()
    for part in sorted((tmp_path / "old").iterdir()):
        file(parquet.read_table(part), tmp_path / "new" / f"{part.stem}.arrow")
    assert detect("new", tmp_path) == "table"
    assert detect("new", tmp_path, ("window",)) == "series"
    found = load("table", tmp_path, path="new", stream=False)
    assert "in 3 .arrow files of 90 rows" in found.info.detected
    same(found, load("table", tmp_path, path="old", stream=False))


@pytest.mark.parametrize("name", FORMS)
def test_the_ending_tells_the_kind(folder: Path, name: str) -> None:
    assert detect(name, folder) == "table"
    assert detect(name, folder, ("window",)) == "series"
    assert detect(name, folder, ("column",)) == "text"


def test_columns_are_told_from_the_first_rows_however_small_the_batches(tmp_path: Path) -> None:
    """A stream of single rows: one row would not tell that words repeat."""
    with ipc.new_stream(tmp_path / "s.arrow", TABLE.schema) as writer:
        for row in range(60):
            writer.write_table(TABLE.slice(row, 1))
    assert columnar.sample(tmp_path / "s.arrow", "note", 50) == TABLE["note"].to_pylist()[:50]
    assert load("table", tmp_path, path="s.arrow").info.value.features == 6


def test_what_is_no_arrow_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.arrow").touch()
    (tmp_path / "old.feather").write_bytes(b"FEA1" + bytes(60))
    (tmp_path / "text.arrow").write_text("a,b\n1,2\n")
    file(TABLE.slice(0, 0), tmp_path / "none.arrow")
    stream(TABLE.slice(0, 0), tmp_path / "none.ipc")
    assert "is empty" in probe_refusal("table", tmp_path, path="empty.arrow").message
    found = probe_refusal("table", tmp_path, path="old.feather")
    assert found.code == "AE456"
    assert "write_feather" in str(found.fix)
    assert probe_refusal("table", tmp_path, path="text.arrow").code == "AE403"
    for name in ("none.arrow", "none.ipc"):
        assert refusal("table", tmp_path, path=name, columns=["a", "b"]).code == "AE407"


@pytest.mark.parametrize("name", ["stream.arrow", "table.feather"])
def test_damage_ends_in_a_message(folder: Path, tmp_path: Path, name: str) -> None:
    """Cut anywhere, and bytes changed anywhere: the table is read or refused, and never anything else."""
    whole, codes, draw = (folder / name).read_bytes(), [], random.Random(0)
    place = tmp_path / name
    for trial in range(60):
        damaged = bytearray(whole[:draw.randrange(len(whole))] if trial % 2 else whole)
        for _ in range(0 if trial % 2 else 3):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        place.write_bytes(damaged)
        try:
            load("table", tmp_path, path=name, columns=["a", "kind"], split={"validation": 1, "test": 1})
        except DataError as error:
            codes.append(error.diagnostics[0].code)
    assert len(codes) > 30
    assert set(codes) <= {"AE403", "AE404", "AE405", "AE407", "AE409", "AE413"}


def test_rows_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    stream(pa.table({"a": [float(n) for n in range(50)], "b": [1.0] * 40 + [None] + [2.0] * 9}), tmp_path / "s.arrow")
    found = probe_refusal("table", tmp_path, path="s.arrow")
    assert (found.code, "row 40, column b" in found.message) == ("AE405", True)
