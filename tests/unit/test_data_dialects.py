"""Tables as pandas, R and spreadsheets write them: what is found out, said, and overruled by a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal

from aebuild.lang.dataset import Where
from aebuild.lang.splits import Splits

ROWS = [(n * 0.5, n * n) for n in range(30)]


def read(folder: Path, text: str, **fields: Any) -> Splits:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return load("table", folder, path="t.csv", **{"scale": "none", **fields})


def written(head: str, row: str) -> str:
    """A table of the rows; `row` is a format of n, a and b."""
    return head + "".join(row.format(n=n, a=a, b=b) + "\n" for n, (a, b) in enumerate(ROWS))


def held(splits: Splits) -> list[tuple[float, ...]]:
    """All rows, in order."""
    parts = (splits.train, splits.validation, splits.test)
    return sorted(tuple(row) for part in parts for row in part.x.tolist())


@pytest.mark.parametrize(("text", "names", "said"), [
    (written(",a,b\n", "{n},{a},{b}"), ("a", "b"), "index: false"),                             # pandas
    (written(",0,1\n", "{n},{a},{b}"), ("0", "1"), "index: false"),
    (written("0,1\n", "{a},{b}"), ("0", "1"), "header: false"),
    (written('"","a","b"\n', '"{n}",{a},{b}'), ("a", "b"), "index: false"),                      # R, write.csv
    (written('"a";"b"\n', '"row {n}";{a};{b}'), ("a", "b"), "index: false"),                     # R, write.table
    (written("index,a,b\n", "{n},{a},{b}"), ("a", "b"), "index: false"),
    (written('"a, with; commas, in, it";b\n', "{a};{b}"), ("a, with; commas, in, it", "b"), None),
    (written("a|b\n", "{a}|{b}"), ("a", "b"), None),
    (written("sep=;\r\na;b\n", "{a};{b}"), ("a", "b"), None),                                   # Excel
    (written('"a" "b"\n', '"{n}" {a} {b}'), ("a", "b"), "index: false"),
])
def test_what_others_write_is_read_rightly(tmp_path: Path, text: str, names: tuple[str, ...], said: str | None) -> None:
    splits = read(tmp_path, text)
    assert splits.info.columns == names
    assert held(splits) == sorted((a, float(b)) for a, b in ROWS)
    assert part_of("table", path="t.csv").probe(Where(tmp_path)).notes == splits.info.notes
    assert said is None or any(said in note for note in splits.notes)
    assert said is not None or splits.notes == ()


@pytest.mark.parametrize("head", ["a;b\n", "", "a\tb\n"])
def test_a_decimal_comma_is_found_and_said(tmp_path: Path, head: str) -> None:
    separator = "\t" if "\t" in head else ";"
    text = head + "".join(f"{a:.1f}{separator}{b}\n".replace(".", ",") for a, b in ROWS)
    splits = read(tmp_path, text)
    assert held(splits) == sorted((a, float(b)) for a, b in ROWS)
    assert "with a decimal comma" in splits.info.detected
    assert held(read(tmp_path, text, separator=separator, decimal=",", header=bool(head))) == held(splits)
    assert refusal("table", tmp_path, path="t.csv", separator=separator, decimal=".").code == "AE405"
    assert held(read(tmp_path, "a\n" + "".join(f"{n},5\n" for n in range(30)))) == [(n + 0.5,) for n in range(30)]


def test_each_guess_has_a_key_that_overrules_it(tmp_path: Path) -> None:
    text = written(",a,b\n", "{n},{a},{b}")
    assert read(tmp_path, text, index=False).info.columns == ("0", "a", "b")
    assert read(tmp_path, written("n,a,b\n", "{n},{a},{b}"), index=True).info.columns == ("a", "b")
    assert probe_refusal("table", tmp_path, path="t.csv", index=True, columns=["a"]).code == "AE413"
    assert read(tmp_path, written("0,1\n", "{a},{b}"), header=False).info.counts["train"] == 25          # of 31
    assert read(tmp_path, "5,7\n" + written("", "{a},{b}"), header=True).info.columns == ("5", "7")
    assert read(tmp_path, written("a b\n", "{a} {b}"), separator=" ").info.columns == ("a", "b")
    assert read(tmp_path, "0,1,2\n3,4,5\n" + "6,7,8\n" * 20).info.counts["train"] == 18                   # a matrix that counts on
    assert "`index: true`" in read(tmp_path, written("n,a,b\n", "{n},{a},{b}")).notes[0]


def test_a_line_of_values_among_words_is_a_sample_where_it_comes_again(tmp_path: Path) -> None:
    splits = read(tmp_path, "setosa,1.5\n" + "".join(f"setosa,{n}\n" for n in range(30)), columns=[1])
    assert sum(filter(None, splits.info.counts.values())) == 31
    assert "header: true" in splits.notes[0]


@pytest.mark.parametrize("text", ["# a comment\n" + written("a,b\n", "{a},{b}"), written("some words\n", "more words")])
def test_what_is_no_table_of_numbers_is_refused_at_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert probe_refusal("table", tmp_path, path="t.csv").code in ("AE403", "AE409")


def test_validate_sees_what_training_would_refuse(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(written("a,b\n", "{a},{b}") + "1,\n", encoding="utf-8")
    assert probe_refusal("table", tmp_path, path="t.csv").code == "AE405"
    (tmp_path / "t.csv").write_text(written("a,b\n", "{a},{b}"), encoding="utf-8")
    assert probe_refusal("table", tmp_path, path="t.csv", label="a").code == "AE410"


@pytest.mark.parametrize("unknown", ["", "NA", "nan", "NaN"])
def test_labels_of_one_class_and_of_none(tmp_path: Path, unknown: str) -> None:
    splits = read(tmp_path, "a,k\n" + "".join(f"{n}.5,{['1', '1.0', unknown, '2'][n % 4]}\n" for n in range(40)), label="k")
    assert splits.class_names == ("1", "2")
    assert splits.train.labels is not None
    assert splits.train.labels.tolist() == [[0, 0, -1, 1][int(n) % 4] for n in splits.train.x[:, 0]]
    np.savez(tmp_path / "w.npz", x=np.zeros((20, 2)), y=np.array(["a", unknown] * 10))
    assert load("arrays", tmp_path, path="w.npz").class_names == ("a",)


def test_pandas_index_in_parquet(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"a": [0.5] * 30, "b": list(range(30)), "__index_level_0__": list(range(30))}), tmp_path / "t.parquet")
    assert load("table", tmp_path, path="t.parquet").info.columns == ("a", "b")
    assert load("table", tmp_path, path="t.parquet", index=False).info.columns == ("a", "b", "__index_level_0__")
    assert probe_refusal("table", tmp_path, path="t.parquet", decimal=",").code == "AE413"
