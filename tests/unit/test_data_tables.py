from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal, survives
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.lang.dataset import Where
from aebuild.lang.values import Vector


def table(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    """Writes a table."""
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    return folder


def rows(count: int = 30, head: str = "a,b,kind\n") -> str:
    return head + "".join(f"{number},{number * 2},{'xyz'[number % 3]}\n" for number in range(count))


def test_columns_label_and_target(tmp_path: Path) -> None:
    splits = load("table", table(tmp_path, rows()), path="t.csv", columns=["b"], target="a", label="kind", scale="none")
    assert (splits.info.value, splits.info.target, splits.info.columns, splits.info.target_columns) == (Vector(1), Vector(1), ("b",),
                                                                                                        ("a",))
    assert splits.class_names == ("x", "y", "z")
    assert splits.train.target is not None
    assert splits.train.labels is not None
    assert (splits.train.x == splits.train.target * 2).all()
    assert (splits.train.target[:, 0] % 3 == splits.train.labels).all()
    assert part_of("table", path="t.csv", label="kind").count_classes(Where(tmp_path)) == 3


def test_all_but_label_and_target_are_the_input(tmp_path: Path) -> None:
    table(tmp_path, rows())
    assert load("table", tmp_path, path="t.csv", label="kind").info.columns == ("a", "b")
    assert load("table", tmp_path, path="t.csv", label="kind", target=["a"]).info.columns == ("b",)
    assert load("table", tmp_path, path="t.csv", columns=[1, "a"]).info.columns == ("b", "a")


@pytest.mark.parametrize("text", [
    b"\xef\xbb\xbfa,b\r\n" + b"1,2\r\n" * 30, b'"a","b"\n' + b'"1","2"\n' * 30, b"a;b\n" + b"1;2\n" * 30, b"a\tb\n" + b"1\t2\n" * 30,
    b"1,2\n" * 30, b"a,b\n" + b"1,2\n\n" * 30, b'"a, or not",b\n' + b"1e0, 2 \n" * 30])
def test_dialects(tmp_path: Path, text: bytes) -> None:
    splits = load("table", table(tmp_path, text), path="t.csv", scale="none")
    assert (splits.train.x == [1, 2]).all()
    assert splits.info.value == Vector(2)


def test_a_table_without_a_line_of_names(tmp_path: Path) -> None:
    table(tmp_path, "".join(f"{n},{n},{n % 2}\n" for n in range(30)))
    splits = load("table", tmp_path, path="t.csv", label=2, columns=[0])
    assert splits.info.columns == ("0",)
    assert splits.class_names == ("0", "1")
    assert "without a line of names" in splits.info.detected


@pytest.mark.parametrize(("cell", "said"),
                         [("", "is empty"), ("nan", "not a finite"), ("inf", "not a finite"), ("12a", "'12a'"), ("1_000", "'1_000'"),
                          ("\u0661\u0662", "not a finite"), ("\uff11", "not a finite"), ('"1,000"', "the decimal mark is '.'")])
def test_bad_cells_are_named_by_line_and_column(tmp_path: Path, cell: str, said: str) -> None:
    lines = rows().splitlines()
    lines[17] = f"3,{cell},x"
    found = refusal("table", table(tmp_path, "\n".join(lines)), path="t.csv", label="kind")
    assert found.code == "AE405"
    assert "line 18, column b" in found.message
    assert said in found.message
    load("table", tmp_path, path="t.csv", label="kind", columns=["a"])


@pytest.mark.parametrize(("text", "code", "said"), [
    ("a,b\n1,2\n1,2,3\n", "AE403", "line 3: 3 cells"), ("a,b\n1,2\n1\n", "AE403", "line 3: 1 cells"), ("", "AE407", "empty"),
    ("a,b\n", "AE407", "no rows"),
    (b"a,b\n1,\xff\n", "AE403", "UTF-8"), (b"\xff\xfea\0,\0", "AE403", "UTF-8"), ('a,b\n1,"2\n', "AE403", "line"),
    ("a,b\n1,2\n", "AE407", "1 sample"),
    ("a,b\n" + "9" * 200_000 + ",1\n", "AE403", "line 2"), ("a,a\n" + "1,2\n" * 30, "", "")])
def test_damaged_tables(tmp_path: Path, text: str | bytes, code: str, said: str) -> None:
    table(tmp_path, text)
    if not code:
        assert refusal("table", tmp_path, path="t.csv", columns=["a"]).code == "AE409"
        return
    found = refusal("table", tmp_path, path="t.csv")
    assert found.code == code
    assert said in found.message


def test_words_where_numbers_are_wanted(tmp_path: Path) -> None:
    table(tmp_path, "a,b,who\n" + "".join(f"{n},{n * 2},person {n}\n" for n in range(30)))
    found = probe_refusal("table", tmp_path, path="t.csv", columns=["a", "b", "who"])
    assert found.code == "AE413"
    assert found.fix == "columns: [a, b]"


@pytest.mark.parametrize(("fields", "code"), [
    ({"columns": ["c"]}, "AE409"), ({"columns": [7]}, "AE409"), ({"label": "knid"}, "AE409"), ({"columns": ["a", "a"]}, "AE413"),
    ({"columns": ["a", "kind"], "label": "kind"}, "AE413"), ({"target": ["a", "b"], "label": "kind"}, "AE409"),
    ({"columns": ["a"], "labels": 5}, "AE413")])
def test_columns_that_do_not_fit(tmp_path: Path, fields: dict, code: str) -> None:
    assert probe_refusal("table", table(tmp_path, rows()), path="t.csv", **fields).code == code


def test_an_empty_label_is_unknown_and_numbers_are_in_order(tmp_path: Path) -> None:
    table(tmp_path, "a,k\n" + "".join(f"{n},{['', 10, 9][n % 3]}\n" for n in range(30)))
    splits = load("table", tmp_path, path="t.csv", label="k", scale="none")
    assert splits.class_names == ("9", "10")
    assert splits.train.labels is not None
    assert splits.train.labels.tolist() == [[-1, 1, 0][int(n) % 3] for n in splits.train.x[:, 0]]


def test_shape_reads_nothing(tmp_path: Path) -> None:
    part = part_of("table", path="absent.csv", shape=[2], target=["c"])
    info = part.probe(Where(tmp_path))
    assert (info.value, info.target, info.counts["train"]) == (Vector(2), Vector(1), None)


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    numbers = list(range(30))
    columns = {"a": numbers, "b": [float(n) for n in numbers], "kind": ["xyz"[n % 3] for n in numbers],
               "flag": [n % 2 == 0 for n in numbers]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    splits = load("table", tmp_path, path="t.parquet", label="kind", scale="none")
    assert splits.info.columns == ("a", "b", "flag")
    assert splits.class_names == ("x", "y", "z")
    assert (splits.train.x[:, 0] == splits.train.x[:, 1]).all()
    assert "30 rows" in splits.info.detected
    assert part_of("table", path="t.parquet", label="kind").probe(Where(tmp_path)).counts == {"train": 24, "validation": 3, "test": 3}
    for bad, said in ((None, "is empty"), (float("nan"), "not a finite")):
        pq.write_table(pa.table(columns | {"b": [*columns["b"][:17], bad, *columns["b"][18:]]}), tmp_path / "bad.parquet")
        found = refusal("table", tmp_path, path="bad.parquet", label="kind")
        assert found.code == "AE405"
        assert "row 17, column b" in found.message
        assert said in found.message
    data = (tmp_path / "t.parquet").read_bytes()
    for bad_data in (data[:100], data[:-30] + b"\xff" * 26 + data[-4:], b"", b"PAR1PAR1", data[:200] + b"\xff" * 40 + data[240:]):
        (tmp_path / "cut.parquet").write_bytes(bad_data)
        assert refusal("table", tmp_path, path="cut.parquet", label="kind").code == "AE403"


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = probe_refusal("table", tmp_path, path="t.parquet")
    assert found.code == "AE415"
    assert found.fix == "pip install pyarrow"


@settings(max_examples=60, deadline=None)
@given(data=st.one_of(st.binary(max_size=80), st.text(alphabet="0123456789,;\t\n\"'ab.e-\0\r", max_size=80).map(str.encode)))
def test_any_bytes_end_in_data_or_one_message(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = table(tmp_path_factory.mktemp("fuzz"), data)
    splits = survives("table", path, path="t.csv")
    assert splits is None or np.isfinite(splits.train.x).all()
