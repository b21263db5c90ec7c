"""Checkpoints: round trips, verification of every byte, and crashes at every point of a save."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.lang.diagnostics import CheckpointError, ResourceError
from aebuild.trainer import checkpoint as module
from aebuild.trainer.checkpoint import Checkpoint, Checkpoints, Damaged, read_folder, write_folder
from aebuild.trainer.pack import pack, unpack


def made(number: float) -> Checkpoint:
    return Checkpoint({"a.weight": torch.full((3, 2), number)}, {"step": number}, {"moment": torch.full((2,), number)})


def test_round_trip_of_every_type(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    tensors = {"half": torch.randn(3).half(), "bf16": torch.randn(3).bfloat16(), "double": torch.randn(2, 2).double(),
               "count": torch.tensor(7), "flag": torch.tensor([True, False]), "empty": torch.empty(0, 3), "turned": torch.randn(3, 2).T,
               "one": shared, "same": shared, "part": shared[2:4]}
    write_folder(tmp_path / "c", Checkpoint(tensors, {"x": 0.1}))
    found = read_folder(tmp_path / "c")
    assert found.state == {"x": 0.1}
    assert found.trainer == {}
    assert found.model.keys() == tensors.keys()
    assert all(torch.equal(found.model[name], tensor) and found.model[name].dtype == tensor.dtype for name, tensor in tensors.items())


@pytest.mark.parametrize("name", ["model.safetensors", "trainer.safetensors", "state.json", "manifest.json"])
def test_every_flipped_bit_and_every_truncation_is_noticed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "c"
    write_folder(folder, made(1.0))
    whole = (folder / name).read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        (folder / name).write_bytes(flipped)
        with pytest.raises(Damaged):
            read_folder(folder)
        if place % 7 == 0:
            (folder / name).write_bytes(whole[:place])
            with pytest.raises(Damaged):
                read_folder(folder)
    (folder / name).unlink()
    with pytest.raises(Damaged, match="No such file"):
        read_folder(folder)


def test_no_pickle_is_ever_written(tmp_path: Path) -> None:
    write_folder(tmp_path / "c", made(1.0))
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "model.safetensors", "trainer.safetensors", "state.json", "manifest.json"}


def test_manifest_names_stay_in_the_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "c", made(1.0))
    manifest = tmp_path / "c" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("state.json", "../state.json"))
    with pytest.raises(Damaged, match="not a manifest"):
        read_folder(tmp_path / "c")


def test_the_one_before_is_kept_and_used(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for number in (1.0, 2.0, 3.0):
        kept.save("last", made(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "last-before"]
    assert kept.load("last").checkpoint.state == {"step": 3.0}
    (tmp_path / "last" / "state.json").write_text("{}")
    loaded = kept.load("last")
    assert (loaded.checkpoint.state, loaded.name) == ({"step": 2.0}, "last-before")
    assert "last is damaged: state.json has 2 bytes instead of 12" in loaded.passed_over[0]
    (tmp_path / "last-before" / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="last-before is damaged") as caught:
        kept.load("last")
    assert caught.value.exit_code == 5


def test_nothing_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        Checkpoints(tmp_path).load("best", "last")


class Died(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("failure", ["crash", errno.ENOSPC, errno.EIO])
def test_a_good_checkpoint_remains_wherever_a_save_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Any) -> None:
    """Every fsync, open and rename of a save in turn does not happen; something verified is loaded each time."""
    for point in range(40):
        folder = tmp_path / f"{failure}-{point}"
        kept = Checkpoints(folder)
        for number in (1.0, 2.0):
            kept.save("last", made(number))
        left = [point]

        def break_off(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Died if failure == "crash" else OSError(failure, os.strerror(failure))

        with monkeypatch.context() as patch:
            for owner, name in ((os, "fsync"), (Path, "open"), (Path, "rename"), (module.shutil, "rmtree")):
                plain = getattr(owner, name)
                patch.setattr(owner, name, lambda *a, plain=plain, **k: (break_off(), plain(*a, **k))[1])
            expected = Died if failure == "crash" else ResourceError
            finished = True
            try:
                kept.save("last", made(3.0))
            except expected:
                finished = False
        step = kept.load("last").checkpoint.state["step"]
        assert step == 3.0 if finished else step in (2.0, 3.0)
        kept.save("last", made(4.0))
        assert kept.load("last").checkpoint.state["step"] == 4.0
        if finished:
            return
    pytest.fail("the save has more than forty points")


def test_a_full_disk_is_named_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left on device") as caught:
        Checkpoints(tmp_path).save("last", made(1.0))
    assert "free some space" in str(caught.value.diagnostics[0].fix)
    assert list(tmp_path.iterdir()) == []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(
    st.text(max_size=3) | st.integers() | st.sampled_from(["~tensor", "~tuple"]), inner, max_size=3), max_leaves=12)


@settings(max_examples=200, deadline=None)
@given(NESTED)
def test_pack_is_undone_by_unpack_through_json(value: Any) -> None:
    import json

    tensors: dict[str, torch.Tensor] = {}
    assert unpack(json.loads(json.dumps(pack(value, tensors), allow_nan=False)), tensors) == value


def test_pack_moves_tensors_aside_and_refuses_objects() -> None:
    tensors: dict[str, torch.Tensor] = {}
    state = {"state": {0: {"step": torch.tensor(3.0)}}, "milestones": Counter([2, 2, 5]), "worst": float("-inf")}
    packed = pack(state, tensors)
    assert list(tensors) == ["state.state.0.step"]
    found = unpack(packed, tensors)
    assert found == state
    assert isinstance(found["milestones"], Counter)
    with pytest.raises(TypeError, match=r"state\.f is a builtin_function_or_method"):
        pack({"f": print}, tensors)
