from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from data_making import REAL, needs_real_data, part_of
from PIL import Image

from aebuild.data.assemble import load_splits
from aebuild.data.detect import detect, is_path
from aebuild.data.formats.idx import looks_idx
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError, Rule, Span, Text
from aebuild.lang.part import Origin


def code(path: str, base: Path) -> str:
    with pytest.raises(DataError) as caught:
        detect(path, base)
    return caught.value.diagnostics[0].code


def test_files_by_name_and_by_content(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "bare").write_bytes((tmp_path / "a.npz").read_bytes())
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "t.parquet").touch()
    (tmp_path / "x-idx3-ubyte.gz").touch()
    (tmp_path / "digits").write_bytes(b"\0\0\x08\3")
    assert [detect(name, tmp_path) for name in ("a.npz", "a.npy", "bare", "t.csv", "t.parquet", "x-idx3-ubyte.gz", "digits")] == [
        "arrays", "arrays", "arrays", "table", "table", "idx", "idx"]
    assert [detect(name, tmp_path, {"path", "window"}) for name in ("a.npz", "t.csv")] == ["series", "series"]


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    (tmp_path / "classes" / "cat").mkdir(parents=True)
    (tmp_path / "parts" / "train" / "cat").mkdir(parents=True)
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "train-images-idx3-ubyte").touch()
    for place in ("flat", "classes/cat", "parts/train/cat"):
        Image.new("L", (2, 2)).save(tmp_path / place / "0.png")
    assert [detect(name, tmp_path) for name in ("flat/", "classes", "parts", "idx")] == ["images"] * 3 + ["idx"]


def test_what_is_not_accepted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "one.png")
    for name in ("model.pkl", "model.pt", "sound.wav", "text.doc"):
        (tmp_path / name).write_bytes(b"hello")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("empty", "one.png", "model.pkl", "model.pt", "sound.wav", "text.doc"):
        assert code(name, tmp_path) == "AE402"
    for name in ("absent.npz", "loop", "a\0b/"):
        assert code(name, tmp_path) == "AE401"
    with pytest.raises(DataError, match="pickle"):
        detect("model.pkl", tmp_path)


def test_what_a_path_is() -> None:
    assert is_path("photos/")
    assert is_path("a.npz")
    assert not is_path("mnist")


@needs_real_data
@pytest.mark.parametrize(("path", "variant"), [
    ("mnist", "idx"), ("mnist/train-images-idx3-ubyte.gz", "idx"), ("adbench/6_cardio.npz", "arrays"), ("fsdd/metadata.csv", "table")])
def test_real_data(path: str, variant: str) -> None:
    assert detect(path, Path(REAL or ".")) == variant


def test_names_of_idx_files() -> None:
    assert all(map(looks_idx,
                   ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz", "train-images.idx3-ubyte", "rows.idx", "rows.idx.gz",
                    "bad-idx")))
    assert not any(map(looks_idx, ("index.png", "vidx12345678901.jpg", "readme.txt", "idx.md")))


def test_errors_underline_the_field_at_fault(tmp_path: Path) -> None:
    spans = {name: Span(Text("spec.yaml", ()), line, 1, line, 9) for line, name in enumerate(("path", "labels", "split", "pad"), 1)}
    for fields, at in (({"path": "absent.npz"}, "path"), ({"path": "a.npz", "pad": 1}, "pad"), ({"path": "a.npz", "labels": 99}, "labels"),
                       ({"path": "a.npz", "split": {"test": 40}}, "split")):
        np.savez(tmp_path / "a.npz", x=np.zeros((30, 3)), y=np.arange(30))
        part = part_of("arrays", **fields).placed(Origin(None, spans))
        for step in (part.probe, partial(load_splits, part)):
            with pytest.raises(DataError) as caught:
                step(Where(tmp_path))
            assert caught.value.diagnostics[0].span == spans[at]


def test_every_rule_tells_a_story_with_a_bad_and_a_mended_example() -> None:
    told = [rule for code, rule in Rule.catalogue.items() if code.startswith("AE4")]
    assert len(told) >= 17
    assert all(rule.story.count("```") == 4 for rule in told)
