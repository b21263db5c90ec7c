"""Tables of words: what becomes a category, a flag, or is set aside; and what is done about empty cells."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal, survives
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.data.assemble import load_splits
from aebuild.data.fingerprint import fingerprint, unlike
from aebuild.data.one_hot import collapse, expand
from aebuild.data.table_suggestion import suggest_columns
from aebuild.data.tables import open_sheet
from aebuild.lang.columns import OTHER, Field
from aebuild.lang.dataset import Where
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Scaling
from aebuild.lang.values import Vector

ROWS = 60
CITIES = ("Bern", "Köln", "Wien")


def lines(**columns: object) -> str:
    """A table of these columns, each a function of the row."""
    return "\n".join([",".join(columns), *(",".join(str(cell(row)) for cell in columns.values()) for row in range(ROWS))]) + "\n"  # type: ignore


def customers(folder: Path, **more: object) -> Path:
    columns = {"customer_id": lambda row: 1000 + 7 * row, "name": lambda row: f"Person {row}", "joined": lambda row: f"2024-01-{row % 28 + 1:02}",
               "city": lambda row: CITIES[row % 3], "vip": lambda row: ("yes", "no")[row % 2], "spend": lambda row: row * 1.5, **more}
    (folder / "t.csv").write_text(lines(**columns), encoding="utf-8")
    return folder


def test_words_become_categories_and_flags_and_the_rest_is_set_aside(tmp_path: Path) -> None:
    splits = load("table", customers(tmp_path), path="t.csv", scale="none")
    info = splits.info
    assert info.columns == ("city", "vip", "spend")
    assert info.value == Vector(5)
    assert [(field.name, field.kind, field.offset, field.width, field.words) for field in info.range.fields] == [
        ("city", "category", 0, 3, CITIES), ("vip", "flag", 3, 1, ("no", "yes")), ("spend", "number", 4, 1, ())]
    assert all(any(name in note for note in splits.notes) for name in ("customer_id", "name", "joined", "city (3 words), vip (a flag)"))
    for row in splits.train.x:
        number = round(row[4] / 1.5)
        assert row[:3].tolist() == [float(number % 3 == place) for place in range(3)]
        assert row[3] == float(number % 2 == 0)


@pytest.mark.parametrize("scale", ["standard", "unit", "signed", "none"])
def test_categories_and_flags_stay_0_and_1_under_every_scale(tmp_path: Path, scale: str) -> None:
    splits = load("table", customers(tmp_path), path="t.csv", scale=scale)
    assert set(np.unique(splits.train.x[:, :4])) == {0.0, 1.0}
    back = collapse(splits.scaling.undo(splits.train.x), splits.info.range.fields)
    assert (back[:, 0] == np.rint(back[:, 2] / 1.5) % 3).all()


def test_what_is_known_of_columns_survives_json(tmp_path: Path) -> None:
    splits = load("table", customers(tmp_path, age=lambda row: "" if row % 5 == 0 else row), path="t.csv", missing="indicator")
    info = DataInfo.from_json(json.loads(json.dumps(splits.info.to_json())))
    assert info == splits.info
    assert info.range.fields[-1] == Field("age", "missing", 6)
    assert Scaling.from_json(json.loads(json.dumps(splits.scaling.to_json()))) == splits.scaling
    old = splits.info.to_json()
    old["range"].pop("fields")
    assert DataInfo.from_json(old).range.fields == ()


def test_what_is_beside_and_how_rows_are_written(tmp_path: Path) -> None:
    part = part_of("table", path="t.csv", label="vip")
    raw = part.read(Where(customers(tmp_path)))
    beside = raw.beside("train")
    assert list(beside) == ["customer_id", "name", "joined"]
    assert beside["name"][3] == "Person 3"
    form = part.form(part.probe(Where(tmp_path)))
    assert form.suffix == ".csv"
    form.write(tmp_path / "out.csv", [raw.x["train"].take(np.arange(2)), raw.x["train"].take(np.arange(2, 5))],
               {"name": beside["name"][:5]})
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines() == [
        "name,city,spend", "Person 0,Bern,0", "Person 1,Köln,1.5", "Person 2,Wien,3", "Person 3,Bern,4.5", "Person 4,Köln,6"]


@pytest.mark.parametrize(("fields", "code", "said"), [
    ({"categories": ["spent"]}, "AE409", "spent"), ({"categories": ["name"], "columns": ["spend"]}, "AE413", "no input or target"),
    ({"columns": ["name", "spend"]}, "AE413", "name does not hold numbers"), ({"categories": {"city": ["Bern", "Wien"]}}, "AE432", "'Köln' is none"),
    ({"categories": {"spend": ["1"]}, "columns": ["city", "spend"]}, "AE413", "city does not hold numbers"),
    ({"indicators": ["spend"]}, "AE431", "missing: indicator"), ({"shape": [5]}, "AE412", "more than one"),
    ({"missing": "indicator", "indicators": ["name"]}, "AE413", "no input")])
def test_what_does_not_fit_is_refused(tmp_path: Path, fields: dict, code: str, said: str) -> None:
    found = refusal("table", customers(tmp_path), path="t.csv", **fields)
    assert (found.code, said in found.message) == (code, True), found


def test_what_training_refuses_in_the_first_rows_is_refused_before(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    cells = [{**dict.fromkeys("abcdefghijklmnop", float(row)), "word": CITIES[row % 2]} for row in range(1000)]
    for bad, code in (({"p": None}, "AE405"), ({"word": None}, "AE405"), ({"word": "Rom"}, "AE432")):
        changed = [*cells[:950], cells[950] | bad, *cells[951:]]
        (tmp_path / "t.csv").write_text("\n".join([",".join(cells[0]), *(",".join("" if cell is None else str(cell) for cell in row.values())
                                                                       for row in changed)]), encoding="utf-8")
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(changed), tmp_path / "t.parquet")
        for name in ("t.csv", "t.parquet"):
            assert probe_refusal("table", tmp_path, path=name, categories={"word": list(CITIES)}).code == code


def test_too_many_categories(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{row},{row}\n" for row in range(10_001)))
    assert probe_refusal("table", tmp_path, path="t.csv", categories=["b"]).code == "AE433"


def test_an_unknown_word_is_named_by_its_place_or_is_a_class_of_its_own(tmp_path: Path) -> None:
    known = {"city": ["Bern", "Köln"], "vip": ["no", "yes"]}
    customers(tmp_path)
    assert "row 2, column city: 'Wien' is none of its categories Bern, Köln" in refusal("table", tmp_path, path="t.csv", categories=known).message
    splits = load("table", tmp_path, path="t.csv", categories=known, unknown="other", scale="none")
    assert splits.info.range.fields[0].words == ("Bern", "Köln", OTHER)
    assert all(row[2] == (round(row[6] / 1.5) % 3 == 2) for row in splits.train.x)


def test_new_data_are_read_by_the_columns_and_categories_of_the_run(tmp_path: Path) -> None:
    info = part_of("table", path="t.csv").probe(Where(customers(tmp_path)))
    new = part_of("table", path="n.csv").fixed(info)
    (tmp_path / "n.csv").write_text("spend,extra,vip,city\n3,9,no,Wien\n4,9,yes,Bern\n", encoding="utf-8")
    raw = new.read(Where(tmp_path))
    assert raw.x["train"].take(np.arange(2)).tolist() == [[0, 0, 1, 0, 3], [1, 0, 0, 1, 4]]
    assert "no inputs are extra" in " ".join(raw.outline.notes)
    (tmp_path / "n.csv").write_text("spend,city\n3,Wien\n", encoding="utf-8")
    assert refusal("table", tmp_path, **new.model_dump(exclude={"type"}, exclude_none=True)).code == "AE409"
    (tmp_path / "n.csv").write_text("spend,vip,city\n3,no,Rom\n", encoding="utf-8")
    found = refusal("table", tmp_path, **new.model_dump(exclude={"type"}, exclude_none=True))
    assert (found.code, "row 0, column city: 'Rom'" in found.message) == ("AE432", True)


def test_new_data_may_lack_a_whole_column_of_values_where_they_are_filled(tmp_path: Path) -> None:
    customers(tmp_path, age=lambda row: "" if row % 5 == 0 else row)
    splits = load("table", tmp_path, path="t.csv", missing="mean")
    new = part_of("table", path="n.csv", missing="mean").fixed(splits.info)
    (tmp_path / "n.csv").write_text("city,vip,spend,age\n,no,3,\n,NA,4,?\n", encoding="utf-8")
    raw = new.read(Where(tmp_path)).x["train"].take(np.arange(2))
    scaled = splits.scaling.apply(raw)
    assert np.isfinite(scaled).all()
    assert np.allclose(scaled[:, 5], 0, atol=1e-6)


def test_numbers_can_be_categories_and_0_and_1_a_flag(tmp_path: Path) -> None:
    customers(tmp_path, grade=lambda row: row % 3 + 8, sold=lambda row: row % 2)
    fields = load("table", tmp_path, path="t.csv", columns=["grade", "sold", "spend"], categories=["grade", "sold"]).info.range.fields
    assert [(field.kind, field.words) for field in fields] == [("category", ("8", "9", "10")), ("flag", ("0", "1")), ("number", ())]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("missing", ["mean", "indicator"])
def test_parquet_gives_the_same_in_memory_and_from_disk(tmp_path: Path, missing: str, stream: bool) -> None:
    import pyarrow
    import pyarrow.parquet

    customers(tmp_path, age=lambda row: "" if row % 5 == 0 else row, town=lambda row: "" if row % 7 == 0 else CITIES[row % 2])
    text = load("table", tmp_path, path="t.csv", missing=missing)
    columns = {name: [line.split(",")[place] or None for line in (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[1:]]
               for place, name in enumerate(["customer_id", "name", "joined", "city", "vip", "spend", "age", "town"])}
    typed = {name: [None if cell is None else float(cell) for cell in cells] if name in ("spend", "age") else cells
             for name, cells in columns.items() if name != "customer_id"}
    pyarrow.parquet.write_table(pyarrow.table(typed), tmp_path / "t.parquet", row_group_size=13)
    found = load("table", tmp_path, path="t.parquet", missing=missing, stream=stream)
    assert found.info.range == text.info.range
    assert np.allclose(sorted(found.train.x.tolist()), sorted(text.train.x.tolist()), atol=1e-6)
    assert np.allclose(found.scaling.fill, text.scaling.fill)
    if stream:
        assert refusal("table", tmp_path, path="t.parquet", missing="median", stream=True).code == "AE431"


# ------------------------------------------------------------------------------------------------------ missing values


def test_what_fills_an_empty_cell_is_of_the_training_samples(tmp_path: Path) -> None:
    customers(tmp_path, age=lambda row: ("", "NA", "?")[row % 3] if row % 5 == 0 else row * row, town=lambda row: "" if row % 4 == 0 else CITIES[row % 2])
    fields = {"path": "t.csv", "columns": ["age", "town", "spend"]}
    assert "the cell is empty" in refusal("table", tmp_path, **fields).message
    part = part_of("table", missing="mask", **fields)
    raw = part.read(Where(tmp_path)).x["train"].take(np.arange(ROWS))
    train = np.random.RandomState(42).permutation(ROWS)[:48]
    known = raw[train]
    assert np.allclose(load_splits(part, Where(tmp_path)).scaling.fill, np.nanmean(known, 0))
    for missing, middle in (("mean", np.nanmean(known, 0)), ("median", np.nanmedian(known, 0))):
        splits = load("table", tmp_path, missing=missing, **fields)
        shares = np.nanmean(known[:, 1:3], 0)
        assert np.allclose(splits.scaling.fill, [middle[0], *(shares == shares.max()), middle[3]])
        undone = splits.scaling.undo(splits.train.x)[:, 0]
        assert np.allclose(undone, np.where(np.isnan(known[:, 0]), middle[0], known[:, 0]), atol=1e-2)


def test_indicators_say_which_cells_were_empty(tmp_path: Path) -> None:
    customers(tmp_path, age=lambda row: "" if row % 5 == 0 else row, size=lambda row: "" if row == 59 else row)
    fields = {"path": "t.csv", "columns": ["age", "size", "spend"], "missing": "indicator"}
    splits = load("table", tmp_path, **fields)
    assert splits.info.value == Vector(5)
    for row, number in zip(splits.train.x, np.rint(splits.scaling.undo(splits.train.x)[:, 2] / 1.5), strict=True):
        assert row[3:].tolist() == [float(number % 5 == 0), float(number == 59)]
    assert load("table", tmp_path, indicators=["size"], **fields).info.value == Vector(4)


def test_a_mask_says_which_targets_are_known(tmp_path: Path) -> None:
    customers(tmp_path, age=lambda row: "" if row % 5 == 0 else row)
    splits = load("table", tmp_path, path="t.csv", columns=["age", "city", "spend"], missing="mask")
    for split in (splits.train, splits.validation, splits.test):
        numbers = np.rint(splits.scaling.undo(split.x)[:, 4] / 1.5)
        assert (split.beside["mask"] == np.column_stack([numbers % 5 != 0, *[np.ones(len(split), bool)] * 4])).all()


def test_a_column_without_a_known_value_cannot_be_filled(tmp_path: Path) -> None:
    customers(tmp_path, age=lambda row: "")
    found = refusal("table", tmp_path, path="t.csv", columns=["age", "spend"], categories={}, missing="mean")
    assert found.code in ("AE413", "AE430")
    tested = int(np.random.RandomState(42).permutation(ROWS)[-1])
    customers(tmp_path, age=lambda row: row if row == tested else "")
    assert refusal("table", tmp_path, path="t.csv", missing="mean").code == "AE430"


def test_one_hot_and_back() -> None:
    fields = (Field("a", "number", 0), Field("b", "category", 1, 3, ("x", "y", "z")), Field("c", "flag", 4, 1, ("no", "yes")),
              Field("b", "missing", 5))
    codes = np.array([[2.5, 1, 0], [-1, np.nan, 1]])
    wide = expand(codes, fields)
    assert np.array_equal(wide, [[2.5, 0, 1, 0, 0, 0], [-1, np.nan, np.nan, np.nan, 1, 1]], equal_nan=True)
    assert collapse(wide[:1], fields).tolist() == [[2.5, 1, 0]]
    assert expand(codes[None], fields).shape == (1, 2, 6)


CELL = st.sampled_from(["", "NA", "1", "2.5", "x", "y", "yes", "no", "-3e2", "2024-01-01", "nan", "1,5", "inf", "ä b", '"q"', "7"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_table_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever is asked of it: samples without a hole, or one message."""
    folder, width = tmp_path_factory.mktemp("any"), data.draw(st.integers(1, 4))
    pools = [data.draw(st.lists(CELL, min_size=1, max_size=3)) for _ in range(width)]
    rows = [[data.draw(st.sampled_from(pool)) for pool in pools] for _ in range(data.draw(st.integers(20, 40)))]
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[f"c{place}" for place in range(width)], *rows])
    fields = data.draw(st.fixed_dictionaries({"missing": st.sampled_from(["error", "mean", "median", "indicator", "mask"]),
                                              "unknown": st.sampled_from(["error", "other"]),
                                              "scale": st.sampled_from(["standard", "unit", "none"])}, optional={
                                                  "categories": st.just(["c0"]), "label": st.just("c1"), "target": st.just("c0")}))
    splits = survives("table", folder, path="t.csv", **fields)
    if splits is None:
        return
    promised = part_of("table", path="t.csv", **fields).probe(Where(folder))
    assert (promised.value, promised.target, promised.range) == (splits.info.value, splits.info.target, splits.info.range)
    for split in (splits.train, splits.validation, splits.test):
        assert split.x.shape == (len(split), *splits.info.value.shape)
        assert np.isfinite(split.x).all()
        for field in splits.info.range.fields:
            if field.kind == "category" and fields["missing"] in ("error", "mean", "median", "indicator"):
                assert (split.x[:, field.features].sum(1) == 1).all()
    form = part_of("table", path="t.csv", **fields).form(splits.info)
    if form is not None:
        aims = splits.train.x if splits.train.target is None else splits.train.target
        form.write(folder / "back.csv", [(splits.target_scaling or splits.scaling).undo(aims)], {})


def test_dates_in_any_order_make_no_series(tmp_path: Path) -> None:
    part = part_of("table", path="t.csv")
    customers(tmp_path, town=lambda row: "" if row % 4 == 0 else CITIES[row % 2])
    assert dict(suggest_columns(open_sheet(tmp_path / "t.csv", part), part).keys) == {"missing": "mask"}
    (tmp_path / "t.csv").write_text(lines(u=lambda row: row % 7, when=lambda row: f"2024-{row // 28 + 1:02}-{row % 28 + 1:02}"))
    assert suggest_columns(open_sheet(tmp_path / "t.csv", part), part).keys["type"] == "series"


def test_other_words_are_other_data(tmp_path: Path) -> None:
    before = fingerprint(load("table", customers(tmp_path), path="t.csv"))
    now = fingerprint(load("table", customers(tmp_path, vip=lambda row: ("ja", "nein")[row % 2]), path="t.csv"))
    assert any("vip" in each for each in unlike(before, now))
