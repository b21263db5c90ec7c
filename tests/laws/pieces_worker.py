"""One of two processes that save in pieces, resume in other numbers, fail together and finish; it writes down what came of it.

Run as a script: rank, folder with `cases.json`, a list of texts of specs. What is told is in `RANK.json`.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from models import fine
from safetensors.torch import save_file
from together_worker import imagined, outcome, widen
from torch import distributed

from aebuild.compile.build import build
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import Loaded
from aebuild.lang.diagnostics import AebuildError
from aebuild.parts import discover
from aebuild.trainer.checkpoints import sharded_checkpoint
from aebuild.trainer.distributed import fsdp as fsdp_module
from aebuild.trainer.distributed.process_group import ALONE, MultiProcessGroup, ProcessGroup
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job, Manner
from aebuild.trainer.loop import Trainer
from aebuild.trainer.progress.display import Quiet
from aebuild.trainer.run_dir.run import ReadOnlyRun, Run, data_record


class Stopped(Exception):
    """A checkpoint was saved that the training ends with."""


class Until(Quiet):
    """Ends a training with the first checkpoint of this batch or a later one."""

    def __init__(self, total: int) -> None:
        self.total = total

    def checkpoint(self, step: int) -> None:
        if step >= self.total:
            raise Stopped


def begun(loaded: Loaded, folder: Path, group: ProcessGroup, stop: int = 1000, every: int | None = None) -> Trainer:
    """A trainer at the beginning, or where the run in this folder ended."""
    assert loaded.plan is not None and loaded.spec is not None
    splits = imagined(loaded)
    run: Any = ReadOnlyRun(folder)
    old = bool(group.agree(int((folder / "spec.yaml").exists()))[0])
    if group.first:
        run = Run.open(folder) if old else Run.create("law", spec=canonical(loaded.spec), plan=loaded.plan.to_json(),
                                                      data=data_record(splits), folder=folder)
    group.agree(0)
    model = build(loaded.plan).double()
    trainer = Trainer(Job(loaded.plan, splits, run, Until(stop), manner=Manner(save_every=every or stop), group=group), model, torch.device("cpu"))
    for loader in (trainer.loader, trainer.judge):
        widen(loader)
    trainer.resume() if old else trainer.start()
    return trainer


def leg(loaded: Loaded, folder: Path, group: ProcessGroup, stop: int, every: int | None = None) -> None:
    """Trains up to the checkpoint at this batch, which may be in the midst of an epoch."""
    trainer = begun(loaded, folder, group, stop, every)
    with pytest.raises(Stopped):
        trainer.loop()
    trainer.state.close()
    if group.first and trainer.run.lock is not None:
        trainer.run.close()


def write_down(trainer: Trainer, name: Path) -> None:
    trainer.finish()
    rows, weights = outcome(trainer)
    name.with_suffix(".json").write_text(json.dumps(rows))
    save_file(weights, name.with_suffix(".safetensors"))
    trainer.run.close()


def handed_over(number: int, loaded: Loaded, folder: Path, several: ProcessGroup, both: ProcessGroup) -> None:
    """Sharded on two, on one, sharded on two, on two; and unbroken on one."""
    run = folder / f"run-{number}"
    leg(loaded, run, both, 2)
    if both.first:
        shutil.copytree(run, folder / f"sharded-{number}")
        leg(loaded, run, ALONE, 4)
    both.agree(0)
    leg(loaded, run, both, 5)
    trainer = begun(loaded, run, several)
    trainer.loop()
    write_down(trainer, folder / f"handed-{number}-{both.rank}")
    if both.first:
        trainer = begun(loaded, folder / f"unbroken-{number}", ALONE)
        trainer.loop()
        write_down(trainer, folder / f"unbroken-{number}-0")


def damaged(loaded: Loaded, folder: Path, both: ProcessGroup) -> list[Any]:
    """What is taken up where a bit is flipped, or a piece is missing."""
    leg(loaded, folder / "whole", both, 2, 1)
    told = []
    for name in ("flipped", "missing"):
        copy, piece = folder / name, folder / name / "checkpoints" / "step-2" / "model-00002-of-00002.safetensors"
        if both.first:
            shutil.copytree(folder / "whole", copy)
            data = bytearray(piece.read_bytes())
            data[-1] ^= 1
            piece.write_bytes(data) if name == "flipped" else piece.unlink()
        both.agree(0)
        told.append(begun(loaded, copy, both).state.take_up())
    return told


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refused(loaded: Loaded, folder: Path, both: ProcessGroup) -> list[Any]:
    """How each process ends where the disk of one is full; and that it could have gone on."""
    trainer = begun(loaded, folder / "refused", both)
    told = []
    for rank, name in ((1, "write_tensors"), (0, "write_tensors"), (0, "seal_folder"), (0, "rmtree")):
        with pytest.MonkeyPatch.context() as patch:
            if name == "rmtree" and both.first:
                (folder / "refused" / "checkpoints" / ".new-step-0").write_text("in the way")
            elif both.rank == rank:
                patch.setattr(sharded_checkpoint, name, full)
            with pytest.raises(AebuildError) as caught:
                trainer.save()
            told.append([type(caught.value).__name__, caught.value.exit_code, str(caught.value)])
    if both.first:
        (folder / "refused" / "checkpoints" / ".new-step-0").unlink()
        assert trainer.run.checkpoints.load("step").name == "step-0"
        assert [path.name for path in (folder / "refused" / "checkpoints").iterdir()] == ["step-0"]
    trainer.save()
    return told


def main(rank: int, folder: Path) -> None:
    discover()
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    fsdp_module.BLOCK = 64              # so that small models have several units too
    store = distributed.FileStore(str(folder / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    heartbeat = cast(Any, SimpleNamespace(leave=lambda code: None))
    several, both = (MultiProcessGroup(rank, 2, rank, "gloo", heartbeat, sharded=sharded) for sharded in (False, True))
    cases = list(map(fine, json.loads((folder / "cases.json").read_text())))
    for number, loaded in enumerate(cases):
        handed_over(number, loaded, folder, several, both)
    told = {"damaged": damaged(cases[0], folder, both), "refused": refused(cases[0], folder, both)}
    (folder / f"{rank}.json").write_text(json.dumps(told))
    torch.set_default_dtype(torch.float32)
    last, splits = cases[-1], imagined(cases[-1])
    assert last.plan is not None and last.spec is not None
    run: Any = ReadOnlyRun(folder / "ended")
    if both.first:
        run = Run.create("law", spec=canonical(last.spec), plan=last.plan.to_json(), data=data_record(splits), folder=folder / "ended")
    result = train(Job(last.plan, splits, run, group=both))          # all but the first end here
    save_file({name: tensor.contiguous() for name, tensor in result.model.state_dict().items()}, folder / "ended.safetensors")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    except AebuildError as error:
        sys.exit(error.exit_code)
