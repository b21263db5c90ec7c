from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal, survives
from hypothesis import given, settings
from hypothesis import strategies as st

import aebuild.data.errors
from aebuild.data.assemble import load_splits
from aebuild.data.axes import interpret
from aebuild.lang.dataset import Where
from aebuild.lang.values import Grid, Sequence, Value, Vector

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "dtype", "fields", "value"), [
    ((40, 5), "float64", {}, Vector(5)),
    ((40, 6, 7), "float32", {}, Sequence(6, 7)),
    ((40, 6, 7), "uint8", {}, Grid(1, (6, 7))),
    ((40, 6, 7), "float32", {"as": "grid"}, Grid(1, (6, 7))),
    ((40, 6, 7), "float32", {"as": "grid", "channels": "last"}, Grid(7, (6,))),
    ((40, 6, 7), "float32", {"as": "grid", "channels": "first"}, Grid(6, (7,))),
    ((40, 6, 7), "float32", {"channels": "first"}, Sequence(7, 6)),
    ((40, 6, 7), "uint8", {"as": "sequence"}, Sequence(6, 7)),
    ((40, 6, 7, 3), "uint8", {}, Grid(3, (6, 7))),
    ((40, 3, 6, 7), "float64", {}, Grid(3, (6, 7))),
    ((40, 3, 6, 3), "float64", {}, Grid(3, (6, 3))),
    ((40, 3, 6, 3), "float64", {"channels": "last"}, Grid(3, (3, 6))),
    ((40, 2, 5, 6, 7), "float64", {}, Grid(2, (5, 6, 7))),
    ((40, 6, 7), "float64", {"as": "vector"}, Vector(42)),
    ((40, 9), "float64", {"as": "sequence"}, Sequence(9, 1)),
    ((40, 9), "float64", {"as": "grid"}, Grid(1, (9,))),
])
def test_axes_and_types(tmp_path: Path, shape: tuple[int, ...], dtype: str, fields: dict[str, str], value: Value) -> None:
    x = RANDOM.integers(0, 255, shape).astype(dtype)
    np.savez(tmp_path / "a.npz", x=x)
    splits = load("arrays", tmp_path, path="a.npz", scale="none", **fields)
    assert splits.info.value == value
    assert splits.train.x.shape == (32, *value.shape)
    order = np.random.RandomState(42).permutation(40)
    sample = x[order[0]].astype(np.float32)
    layout = interpret(shape, dtype, "x", fields.get("as"), fields.get("channels"))  # type: ignore[arg-type]
    wanted = sample if layout.move is None else np.moveaxis(sample[None], *layout.move)[0]
    assert (splits.train.x[0] == wanted.reshape(value.shape)).all()


def test_an_npy_file_holds_samples_without_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(RANDOM.normal(size=(30, 4)).astype(">f4")))
    splits = load("arrays", tmp_path, path="a.npy")
    assert splits.train.labels is None
    assert splits.class_names == ()
    assert not splits.info.labelled


def test_compressed_members_and_words_as_labels(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", data=RANDOM.normal(size=(30, 4)), labels=np.asarray(["dog", "cat", ""] * 10))
    splits = load("arrays", tmp_path, path="a.npz", split={"validation": 1, "test": 1})
    assert splits.class_names == ("cat", "dog")
    assert splits.train.labels is not None
    assert set(splits.train.labels) == {-1, 0, 1}
    assert part_of("arrays", path="a.npz").count_classes(Where(tmp_path)) == 2


def test_label_numbers_become_classes_in_their_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(30.0)[:, None], y=np.asarray([10, 2, -1] * 10))
    splits = load("arrays", tmp_path, path="a.npz", scale="none")
    assert splits.class_names == ("2", "10")
    assert splits.train.labels is not None
    assert [{0: 1, 1: 0, 2: -1}[int(row) % 3] for row in splits.train.x[:, 0]] == splits.train.labels.tolist()


@pytest.mark.parametrize(("labels", "code"), [
    (np.full(30, 0.5), "AE410"), (np.asarray([-1, 1] * 15), "AE410"), (np.asarray([-7, 1, 2] * 10), "AE410"),
    (np.zeros((30, 2), int), "AE410"),
    (np.zeros(29, int), "AE411"), (np.asarray([""] * 30), "AE410")])
def test_labels_that_do_not_fit(tmp_path: Path, labels: np.ndarray, code: str) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 4)), y=labels)
    assert refusal("arrays", tmp_path, path="a.npz", label="y").code == code


def test_numbers_with_fractions_are_no_labels_unless_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 4)), y=np.linspace(0, 1, 30))
    splits = load("arrays", tmp_path, path="a.npz")
    assert splits.train.labels is None
    assert "not used: y" in splits.info.detected


def test_names_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", noisy=np.zeros((30, 4)), clean=np.ones((30, 5)), kind=np.arange(30) % 3)
    found = probe_refusal("arrays", tmp_path, path="a.npz")
    assert found.code == "AE409"
    assert "noisy [30, 4]" in found.message
    splits = load("arrays", tmp_path, path="a.npz", array="noisy", target="clean", label="kind", scale="none")
    assert (splits.info.value, splits.info.target, splits.info.classes) == (Vector(4), Vector(5), 3)
    assert splits.train.target is not None
    assert (splits.train.target == 1).all()
    assert splits.target_scaling is not None
    missing = probe_refusal("arrays", tmp_path, path="a.npz", array="nosiy")
    assert missing.code == "AE409"
    assert missing.fix == "array: noisy"


def test_a_target_moves_with_its_sample(tmp_path: Path) -> None:
    x = np.arange(30.0)[:, None]
    np.savez(tmp_path / "a.npz", x_train=x, x_test=x + 50, big_train=x * 2, big_test=x * 2 + 100)
    splits = load("arrays", tmp_path, path="a.npz", target="big", scale="none")
    for part in (splits.train, splits.validation, splits.test):
        assert part.target is not None
        assert (part.target == part.x * 2).all()
    np.savez(tmp_path / "b.npz", x_train=x, x_test=x + 50, big_train=x * 2)
    assert refusal("arrays", tmp_path, path="b.npz", target="big").code == "AE411"


def test_nothing_is_read_where_shape_is_given(tmp_path: Path) -> None:
    part = part_of("arrays", path="absent.npz", shape=[1, 8, 8], classes=4, scale="unit")
    info = part.probe(Where(tmp_path))
    assert (info.value, info.classes, info.labelled) == (Grid(1, (8, 8)), 4, True)
    assert part.count_classes(Where(tmp_path)) == 4


def test_data_are_held_to_what_is_declared(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 8, 8), np.uint8), y=np.arange(30) % 3)
    found = refusal("arrays", tmp_path, path="a.npz", shape=[1, 7, 8])
    assert found.code == "AE412"
    assert found.fix == "shape: [1, 8, 8]"
    assert refusal("arrays", tmp_path, path="a.npz", shape=[1, 8, 8], classes=4).fix == "classes: 3"
    load_splits(part_of("arrays", path="a.npz", shape=[1, 12, 12], classes=3, pad=2), Where(tmp_path))


def damaged(path: Path, kind: str) -> None:
    """Writes a file that is wrong in one way."""
    good = io.BytesIO()
    np.savez_compressed(good, x=RANDOM.normal(size=(50, 20)))
    data = good.getvalue()
    if kind == "truncated":
        path.write_bytes(data[:len(data) // 2])
    elif kind == "flipped":
        path.write_bytes(data[:2000] + bytes([data[2000] ^ 255]) + data[2001:])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "other":
        path.write_bytes(b"hello, world" * 50)
    else:
        header = {"negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 4), }",
                  "claims": "{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000000, 400), }",
                  "few": "{'descr': '<f8', 'fortran_order': False, 'shape': (30, 4), }",
                  "syntax": "{'descr': '<f8', 'fortran_order': False, 'shape': ", "nested": "(" * 9000,
                  "complex": "{'descr': '<c16', 'fortran_order': False, 'shape': (2, 4), }",
                  "bool_shape": "{'descr': '<f8', 'fortran_order': False, 'shape': 'abc', }",
                  "struct": "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2, 4), }"}[kind]
        text = header.encode() + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 128)


@pytest.mark.parametrize("kind", ["truncated", "flipped", "empty", "other", "negative", "claims", "few", "syntax", "nested", "complex",
                                  "bool_shape", "struct"])
def test_damaged_files_are_named(tmp_path: Path, kind: str) -> None:
    damaged(tmp_path / "bad.npz", kind)
    found = refusal("arrays", tmp_path, path="bad.npz")
    assert found.code == "AE403"
    assert "bad.npz" in found.message


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    np.savez(tmp_path / "a.npz", x=np.asarray([Bomb()] * 3, dtype=object))
    np.save(tmp_path / "a.npy", np.asarray([Bomb()] * 3, dtype=object), allow_pickle=True)
    for name in ("a.npz", "a.npy"):
        assert refusal("arrays", tmp_path, path=name).code == "AE408"
    assert not (tmp_path / "ran").exists()


def test_bombs_are_refused_before_they_unfold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((4000, 1000)))
    monkeypatch.setattr(aebuild.data.errors, "memory", lambda: 1 << 20)
    found = refusal("arrays", tmp_path, path="bomb.npz")
    assert found.code == "AE404"
    assert "array x" in found.message


def test_a_member_that_claims_more_than_deflate_can_hold(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 4), }\n"
    with zipfile.ZipFile(tmp_path / "liar.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 64)
    data = bytearray((tmp_path / "liar.npz").read_bytes())
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, 10 + len(header) + 4_000_000_000 - 0)
    (tmp_path / "liar.npz").write_bytes(bytes(data))
    assert refusal("arrays", tmp_path, path="liar.npz").code in ("AE404", "AE403")


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 900), byte=st.integers(0, 255), cut=st.one_of(st.none(), st.integers(0, 900)))
def test_any_changed_byte_ends_in_data_or_one_message(tmp_path_factory: pytest.TempPathFactory, at: int, byte: int,
                                                      cut: int | None) -> None:
    held = io.BytesIO()
    np.savez_compressed(held, x=np.arange(120.0).reshape(30, 4), y=np.arange(30) % 3)
    data = bytearray(held.getvalue())
    data[at % len(data)] = byte
    path = tmp_path_factory.mktemp("fuzz") / "a.npz"
    path.write_bytes(bytes(data[:cut]))
    survives("arrays", path.parent, path="a.npz")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    (tmp_path / "gone.npz").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.npz")
    for name in ("folder.npz", "loop.npz", "gone.npz", "pipe.npz", "absent.npz", "~/x.npz", "a\0b.npz"):
        found = refusal("arrays", tmp_path, path=name)
        assert found.code == "AE401", name
    (tmp_path / "faces.npz").touch()
    assert refusal("arrays", tmp_path, path="face.npz").fix == "did you mean faces.npz?"
    assert "not expanded" in refusal("arrays", tmp_path, path="~/x.npz").message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 4)))
    (tmp_path / "a.npz").chmod(0)
    assert "permission" in refusal("arrays", tmp_path, path="a.npz").message


def test_control_characters_in_names_are_escaped(tmp_path: Path) -> None:
    found = refusal("arrays", tmp_path, path="a\x1b[31mred\u202e.npz")
    assert "\x1b" not in found.message
    assert "\u202e" not in found.message
    assert "\\x1b" in found.message
