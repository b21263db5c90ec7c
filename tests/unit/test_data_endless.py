"""What has no end, or none that memory holds, ends in one message wherever data are opened."""

from __future__ import annotations

import ast
import gzip
import os
import signal
import socket
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal
from PIL import Image

import aebuild
import aebuild.parts.datasets.arrays
from aebuild.data.assemble import load_splits
from aebuild.data.detect import detect
from aebuild.data.formats.tar import LARGE
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError

PACKAGE = Path(aebuild.__file__).parent


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Whoever waits for a pipe fails instead of hanging."""
    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def put(path: Path, kind: str) -> None:
    """A pipe, a socket, or a link to a device."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        here = Path.cwd()
        os.chdir(path.parent)                      # a socket's name must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize(("variant", "name", "fields"), [
    ("arrays", "a.npz", {}), ("arrays", "a.npy", {}), ("arrays", "a.npy", {"stream": True}), ("idx", "a-idx3-ubyte", {}),
    ("table", "a.csv", {}), ("table", "a.parquet", {}), ("webdataset", "a.tar", {}), ("series", "a.csv", {}), ("series", "a.npy", {})])
def test_a_file_that_is_none(tmp_path: Path, kind: str, variant: str, name: str, fields: dict[str, object]) -> None:
    put(tmp_path / name, kind)
    assert probe_refusal(variant, tmp_path, path=name, **fields).code == "AE401"
    with pytest.raises(DataError, match=name):
        detect(name, tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_one_among_good_ones(tmp_path: Path, kind: str) -> None:
    for number in range(5):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
    put(tmp_path / "3.png", kind)
    found = refusal("images", tmp_path, path=".")
    assert (found.code, "3.png" in found.message) == ("AE403", True)
    (tmp_path / "tars").mkdir()
    put(tmp_path / "tars" / "b.tar", kind)
    assert probe_refusal("webdataset", tmp_path, path="tars").code == "AE401"
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "images-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 9, 2, 2) + bytes(36))
    put(tmp_path / "idx" / "labels-idx1-ubyte", kind)
    assert load("idx", tmp_path, path="idx/images-idx3-ubyte").train.labels is None


def test_sixteen_bytes_that_promise_the_world(tmp_path: Path) -> None:
    (tmp_path / "a-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3))
    found = probe_refusal("idx", tmp_path, path="a-idx3-ubyte")
    assert (found.code, "a-idx3-ubyte would take" in found.message) == ("AE404", True)
    (tmp_path / "a-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 100, 100, 100))
    assert probe_refusal("idx", tmp_path, path="a-idx3-ubyte").code == "AE403"
    (tmp_path / "a-idx3-ubyte").write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 1000, 100, 100) + bytes(500)))
    found = probe_refusal("idx", tmp_path, path="a-idx3-ubyte")
    assert (found.code, "compression" in found.message) == ("AE404", True)


def test_memory_that_runs_out_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((90, 1000)))
    monkeypatch.setattr(aebuild.data.errors, "memory", lambda: 1_000_000)       # the array fits, what is made of it does not
    found = refusal("arrays", tmp_path, path="a.npz")
    assert found.code == "AE404"
    assert "a.npz, array x would take" in found.message
    assert "numpy.save" in (found.fix or "")
    monkeypatch.undo()

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(aebuild.parts.datasets.arrays, "_stored", exhausted)
    part = part_of("arrays", path="a.npz")
    with pytest.raises(DataError, match=r"a\.npz took more memory than this machine has free") as caught:
        load_splits(part, Where(tmp_path))
    assert (caught.value.exit_code, caught.value.diagnostics[0].code) == (4, "AE404")


def test_every_reading_of_data_goes_through_the_one_place_that_refuses_what_has_no_end() -> None:
    readings = [f"{path.name}: {ast.unparse(call)}" for folder in ("data", "parts/datasets") for path in (PACKAGE / folder).rglob("*.py")
                for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(call, ast.Call) and reads(call)]
    assert readings == ["errors.py: CONTAINER.read_text()"]


def reads(call: ast.Call) -> bool:
    """True for a call that opens a file by its path, to read it."""
    words = [word.value for word in call.args if isinstance(word, ast.Constant)]
    if isinstance(call.func, ast.Name):
        return call.func.id == "open"
    if not isinstance(call.func, ast.Attribute):
        return False
    by_mode = call.func.attr == "open" and any(word in ("r", "rb", "rt") for word in words) and not any(
        word.arg == "fileobj" for word in call.keywords)
    return by_mode or call.func.attr in ("read_bytes", "read_text") or ast.unparse(call.func) == "np.load"


@pytest.mark.parametrize("ending", ["npy", "png"])
def test_a_member_larger_than_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    info = tarfile.TarInfo(f"0.{ending}")
    info.size = LARGE + 512
    (tmp_path / "a.tar").write_bytes(info.tobuf())
    os.truncate(tmp_path / "a.tar", LARGE + 4096)              # takes no place on disk
    monkeypatch.setattr(aebuild.data.errors, "memory", lambda: 1_000_000)
    found = probe_refusal("webdataset", tmp_path, path="a.tar")
    assert (found.code, "a.tar, the member at byte 512, would take" in found.message) == ("AE404", True)
