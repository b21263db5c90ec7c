"""Checkpoints: round trips, verification of every byte, and crashes at every point of a save."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.lang.diagnostics import CheckpointError, ResourceError
from aebuild.trainer.checkpoints import checkpoint as module
from aebuild.trainer.checkpoints.checkpoint import Checkpoint, pack, read_folder, unpack, write_folder
from aebuild.trainer.checkpoints.reader import Damaged
from aebuild.trainer.checkpoints.rotation import Checkpoints
from aebuild.trainer.run_dir import atomic_files


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


def held(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def damage(folder: Path) -> None:
    (folder / "state.json").write_text("{}")


def test_two_of_a_kind_are_kept_and_the_older_one_used(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for number in (0, 7, 30, 200):
        kept.save(f"step-{number}", made(number))
        kept.save(f"best-{number + 1}", made(-number))
        kept.prune()
    assert held(tmp_path) == ["best-201", "best-31", "step-200", "step-30"]
    assert kept.load("step").checkpoint.state == {"step": 200}
    damage(tmp_path / "step-200")
    loaded = kept.load("step", "best")
    assert (loaded.checkpoint.state, loaded.name) == ({"step": 30}, "step-30")
    assert "step-200 is damaged: state.json has 2 bytes instead of" in loaded.passed_over[0]
    assert kept.load("best", "step", upto=200).name == "best-31"
    (tmp_path / "step-30" / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="step-30 is damaged") as caught:
        kept.load("step")
    assert caught.value.exit_code == 5


def test_a_damaged_one_goes_only_when_two_good_ones_exist(tmp_path: Path) -> None:
    for number in (10, 20):
        Checkpoints(tmp_path).save(f"step-{number}", made(number))
    damage(tmp_path / "step-20")
    kept = Checkpoints(tmp_path)                     # a new process, which trusts what it has read
    assert kept.load("step").name == "step-10"
    kept.prune()
    assert held(tmp_path) == ["step-10", "step-20"]
    kept.save("step-20", made(20.5))
    assert held(tmp_path) == [".old-step-20", "step-10", "step-20"]
    kept.prune()
    assert held(tmp_path) == ["step-10", "step-20"]
    assert kept.load("step").checkpoint.state == {"step": 20.5}


def test_what_no_process_verified_is_not_counted(tmp_path: Path) -> None:
    for number in (10, 20, 30):
        Checkpoints(tmp_path).save(f"step-{number}", made(number))
    kept = Checkpoints(tmp_path)
    kept.load("step")
    kept.prune()
    assert held(tmp_path) == ["step-10", "step-20", "step-30"]
    kept.save("step-40", made(40))
    kept.prune()
    assert held(tmp_path) == ["step-30", "step-40"]


def test_best_ones_of_a_lost_timeline_go_after_the_first_good_save(tmp_path: Path) -> None:
    before = Checkpoints(tmp_path)
    for name in ("step-10", "best-8", "best-18", "best-28"):
        before.save(name, made(1))
    kept = Checkpoints(tmp_path)
    kept.load("step")
    kept.forget_after(10)
    assert len(held(tmp_path)) == 4
    kept.save("best-18", made(2))                    # found again: this one is of the new timeline
    kept.save("step-20", made(2))
    kept.prune()
    assert held(tmp_path) == ["best-18", "best-8", "step-10", "step-20"]
    assert kept.load("best").checkpoint.state == {"step": 2}


def test_an_unfinished_fresh_one_is_no_damage(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    assert not kept.begun()
    (tmp_path / ".new-step-5").mkdir()
    assert not kept.begun()
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        kept.load("step")
    kept.save("step-3", made(3))
    assert kept.begun()
    loaded = kept.load("step")
    assert (loaded.name, loaded.passed_over) == ("step-3", ())


def test_nothing_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        Checkpoints(tmp_path / "none").load("best", "step")


class Died(BaseException):
    """The process is gone."""


@contextmanager
def breaking_off(point: int, failure: Any) -> Iterator[None]:
    """From this call on, no fsync, open, rename, folder, removal or file of tensors succeeds; a full disk fails once.

    Of a small file that is being written then, half is there.
    """
    left = [point]

    def break_off() -> None:
        left[0] -= 1
        if left[0] < 0 and failure == "crash":
            raise Died
        if left[0] == -1:
            raise OSError(failure, os.strerror(failure))

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((os, "fsync"), (Path, "open"), (Path, "rename"), (Path, "replace"), (Path, "mkdir"), (shutil, "rmtree"),
                            (module.safetensors.torch, "save_file")):
            plain = getattr(owner, name)
            patch.setattr(owner, name, lambda *a, plain=plain, **k: (break_off(), plain(*a, **k))[1])
        whole = atomic_files.write_synced

        def torn(path: Path, data: bytes) -> None:
            try:
                break_off()
            except BaseException:
                opened = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.write(opened, data[:len(data) // 2])
                os.close(opened)
                raise
            whole(path, data)

        for owner in (atomic_files, module):
            patch.setattr(owner, "write_synced", torn)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("failure", ["crash", errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("again", [30, 20], ids=["the next step", "the same step"])
def test_a_good_checkpoint_remains_wherever_a_save_breaks_off(tmp_path: Path, failure: Any, again: int) -> None:
    """Every call of a save in turn does not happen; something verified is loaded each time, and saving goes on."""
    for point in range(60):
        folder = tmp_path / f"{failure}-{point}"
        kept = Checkpoints(folder)
        for number in (10, 20):
            kept.save(f"step-{number}", made(number))
        finished = False
        with breaking_off(point, failure), suppress(Died if failure == "crash" else ResourceError):
            kept.save(f"step-{again}", made(again + 0.5))
            kept.prune()
            finished = True
        kept = Checkpoints(folder)
        step = kept.load("step").checkpoint.state["step"]
        assert step == again + 0.5 if finished else step in (20, again + 0.5)
        _goes_on(folder, kept)
        if finished:
            return
    pytest.fail("the save has more than sixty points")


def test_a_first_save_that_broke_off_is_no_checkpoint(tmp_path: Path) -> None:
    """Until the first checkpoint is complete nothing is begun; from then on it is loaded."""
    begun = []
    for point in range(60):
        folder = tmp_path / str(point)
        finished = False
        with breaking_off(point, "crash"), suppress(Died):
            Checkpoints(folder).save("step-0", made(0.5))
            finished = True
        kept = Checkpoints(folder)
        begun.append(kept.begun())
        if begun[-1]:
            assert kept.load("step").checkpoint.state["step"] == 0.5
        if finished:
            assert begun == sorted(begun)
            assert True in begun[:-1]
            return
    pytest.fail("the save has more than sixty points")


def _goes_on(folder: Path, kept: Checkpoints) -> None:
    """The same step again, wherever the last save broke off, then two more: two whole ones are left and nothing else."""
    again = kept.entries()[0].step
    kept.save(f"step-{again}", made(again + 0.75))
    kept.prune()
    assert Checkpoints(folder).load("step").checkpoint.state["step"] == again + 0.75
    for number in (40, 50):
        kept.save(f"step-{number}", made(number))
        kept.prune()
    assert held(folder) == ["step-40", "step-50"]


def test_a_replacement_that_broke_off_twice_still_holds_a_good_one(tmp_path: Path) -> None:
    """Saved, replaced, crashed between the two renames, loaded, replaced again, crashed anywhere."""
    for point in range(60):
        folder = tmp_path / str(point)
        kept = Checkpoints(folder)
        kept.save("step-5", made(1))
        kept.save("step-5", made(2))
        (folder / "step-5").rename(folder / ".new-step-5")
        damage(folder / ".old-step-5")
        kept = Checkpoints(folder)
        assert kept.load("step").checkpoint.state["step"] == 2
        finished = False
        with breaking_off(point, "crash"), suppress(Died):
            kept.save("step-5", made(3))
            kept.prune()
            finished = True
        assert Checkpoints(folder).load("step").checkpoint.state["step"] in ((3,) if finished else (2, 3))
        if finished:
            return
    pytest.fail("the save has more than sixty points")


@pytest.mark.parametrize("call", ["fsync", "save_file"])
def test_a_full_disk_is_named_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device") if call == "fsync" else module.safetensors.SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(os if call == "fsync" else module.safetensors.torch, call, full)
    with pytest.raises(ResourceError, match="No space left on device") as caught:
        Checkpoints(tmp_path).save("step-1", made(1.0))
    assert "free some space" in str(caught.value.diagnostics[0].fix)
    assert list(tmp_path.iterdir()) == []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(
    st.text(max_size=3) | st.integers() | st.sampled_from(["~tensor", "~tuple"]), inner, max_size=3), max_leaves=12)


@settings(max_examples=80, deadline=None)
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
