"""Kills trainings of the shipped specs at random points and checks that each resumes to the very same weights.

    python benchmarks/kill_sweep.py [--points 2000] [--seed 0] [spec ...]

One process imports torch and prepares a spec, made small; each point is a forked child that is killed with SIGKILL, either
at a random instant or before or after the n-th call of what writes to the disk (fsync, rename, mkdir, open, removal, a file of
tensors). A second child resumes it, a third of these are killed once more, and the final weights must be those of a training
that was never killed, bit by bit. What is lost is counted in batches: no more than one interval between checkpoints, and what
was trained while the killed process was writing another one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import safetensors.torch
import torch

from aebuild.compile.canonical import text
from aebuild.compile.front import load
from aebuild.compile.spec import Train
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.splits import Split
from aebuild.trainer.checkpoints.rotation import Checkpoints
from aebuild.trainer.checkpoints.writer import CheckpointWriter
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job, Manner
from aebuild.trainer.phase import ActivePhase
from aebuild.trainer.run_dir.run import Run, data_record

ROOT = Path(__file__).resolve().parents[1]
EVERY = 4
WRITERS = ((os, "fsync"), (os, "truncate"), (Path, "open"), (Path, "mkdir"), (Path, "rename"), (Path, "replace"), (shutil, "rmtree"),
           (safetensors.torch, "save_file"))
FIELDS = ("at", "calls", "begun", "done", "resumed", "ended")


class Shared:
    """Numbers that outlive a killed child, and the digest of the weights it ended with."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 4096)

    def __getitem__(self, name: str) -> int:
        return struct.unpack_from("q", self.memory, 8 * FIELDS.index(name))[0]

    def __setitem__(self, name: str, value: int) -> None:
        struct.pack_into("q", self.memory, 8 * FIELDS.index(name), value)

    @property
    def digest(self) -> bytes:
        return self.memory[512:544]

    def clear(self) -> None:
        self.memory[:] = bytes(4096)


@dataclass
class Victim:
    """A spec made small, with its data: trained in a forked child, from the beginning or from where it was killed."""

    name: str
    plan: Any
    splits: Any
    shared: Shared = field(default_factory=Shared)

    def fork(self, folder: Path, kill: tuple[int, bool] | None) -> int:
        """Starts a child that trains in the folder; `kill` is the call it dies at, and whether after it."""
        self.shared.clear()
        child = os.fork()
        if child:
            return child
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            self._instrument(kill)
            self._train(folder)
            (folder.parent / "modules").write_text("\n".join(sys.modules))
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{self.name}: {type(error).__name__}: {error}\n".encode())
            os._exit(1)

    def _train(self, folder: Path) -> None:
        shared = self.shared
        if (folder / "data.json").exists() and (folder / "plan.json").exists():
            run = Run.open(folder, write=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            run = Run.create(self.name, spec=text(self.plan.spec), plan=self.plan.to_json(), data=data_record(self.splits), folder=folder)
        begun = run.checkpoints.begun()
        if begun:
            shared["resumed"] = shared["at"] = shared["begun"] = shared["done"] = run.checkpoints.load("step").checkpoint.state["progress"]["total"]
        result = train(Job(self.plan, self.splits, run, manner=Manner(save_every=EVERY)), resume=begun)
        seal = hashlib.sha256()
        for name, tensor in sorted(result.model.state_dict().items()):
            seal.update(name.encode() + tensor.contiguous().numpy().tobytes())
        shared.memory[512:544] = seal.digest()
        shared["ended"] = result.steps

    def _instrument(self, kill: tuple[int, bool] | None) -> None:
        shared, run, begin, save = self.shared, ActivePhase.run, CheckpointWriter.save, Checkpoints.save

        def counted(phase: Any, *given: Any) -> Any:
            tick = run(phase, *given)
            shared["at"] += 1
            return tick

        def begun(writer: Any, model: Any, state: Any, **named: Any) -> None:
            shared["begun"] = state["progress"]["total"]
            begin(writer, model, state, **named)

        def watched(checkpoints: Checkpoints, name: str, checkpoint: Any) -> None:
            save(checkpoints, name, checkpoint)
            if name.startswith("step"):
                shared["done"] = int(name.split("-")[1])

        ActivePhase.run, CheckpointWriter.save, Checkpoints.save = counted, begun, watched  # type: ignore[method-assign]
        for owner, name in WRITERS:
            setattr(owner, name, _deadly(getattr(owner, name), shared, kill))


def load_modules(told: Path) -> None:
    """Imports what a first child has imported, so that no other has to."""
    for name in told.read_text().splitlines():
        with suppress(ImportError):
            importlib.import_module(name)


def _deadly(plain: Callable[..., Any], shared: Shared, kill: tuple[int, bool] | None) -> Callable[..., Any]:
    """The function, which kills this process before or after its n-th call."""
    def call(*given: Any, **named: Any) -> Any:
        shared["calls"] += 1
        mine = kill is not None and shared["calls"] == kill[0]
        if mine and not kill[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        result = plain(*given, **named)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call


def small(file: Path) -> Victim | None:
    """The spec with few samples, small batches and short phases; None if its data are not here."""
    settings = ["train.device=cpu", "data.limit=60", *(["train.speed=exact"] if "speed" in Train.model_fields else [])]
    loaded = load(file, settings)
    if any("labels" in finding.message for finding in loaded.errors):
        loaded = load(file, [*settings, "data.labels=20"])
    try:
        plan = loaded.require()
        splits = load_splits(plan.spec.data, Where(file.parent))
    except AebuildError as error:
        print(f"{file}: left out: {error}")
        return None
    if splits.validation is not None:
        part = splits.validation
        splits = replace(splits, validation=Split(*(None if array is None else array[:20] for array in (part.x, part.labels, part.target))))
    size = max(2, -(-len(splits.train) // 5))
    epochs = 3 if len(plan.phases) == 1 else 1
    phases = tuple(replace(phase, epochs=epochs, steps=None, batch_size=size) for phase in plan.phases)
    return Victim(str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name), replace(plan, phases=phases), splits)


@dataclass
class Tally:
    """What came of the points of one spec."""

    found: Counter[str] = field(default_factory=Counter)
    lost: int = 0            # most batches between what a killed process had trained and where it resumed, no write under way
    writing: int = 0         # the same where a checkpoint was being written
    failures: list[str] = field(default_factory=list)


class Sweep:
    """The points of one spec."""

    def __init__(self, job: Victim, chance: random.Random, folder: Path) -> None:
        self.job, self.chance, self.folder, self.tally = job, chance, folder, Tally()
        _ended(job.fork(folder / "whole", None))
        shutil.rmtree(folder / "whole", ignore_errors=True)
        load_modules(folder / "modules")
        began = time.monotonic()
        _ended(job.fork(folder / "whole", None))
        self.seconds, self.calls = time.monotonic() - began, job.shared["calls"]
        self.digest, self.steps = job.shared.digest, job.shared["ended"]
        shutil.rmtree(folder / "whole")
        if not self.steps:
            raise SystemExit(f"{job.name}: the uninterrupted training failed")

    def point(self) -> None:
        """One training, killed once or twice, and resumed to its end."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        killed = self._kill(run)
        if killed and self.chance.random() < 0.33:
            self.tally.found["killed again"] += 1
            killed = self._kill(run)
        at, begun, done = (self.job.shared[name] for name in ("at", "begun", "done"))
        code = _ended(self.job.fork(run, None))
        shared = self.job.shared
        self.tally.found["points"] += 1
        if code != 0 or shared.digest != self.digest or shared["ended"] != self.steps:
            self.tally.failures.append(f"exit {code}, {shared['ended']} of {self.steps} steps, "
                                       f"weights {'equal' if shared.digest == self.digest else 'differ'}")
        lost = at - shared["resumed"]
        if begun > done:
            self.tally.writing = max(self.tally.writing, lost)
        else:
            self.tally.lost = max(self.tally.lost, lost)
        if killed and (shared["resumed"] < done or lost > (2 * EVERY if begun > done else EVERY)):
            self.tally.failures.append(f"killed at {at}, checkpoint {done} was complete, resumed at {shared['resumed']}")

    def _kill(self, run: Path) -> bool:
        """Trains until the point at which it dies; True if it did not end before."""
        if self.chance.random() < 0.5:
            self.tally.found["failpoints"] += 1
            return _ended(self.job.fork(run, (self.chance.randint(1, self.calls), self.chance.random() < 0.5))) == -signal.SIGKILL
        self.tally.found["instants"] += 1
        child = self.job.fork(run, None)
        time.sleep(self.chance.uniform(0, self.seconds))
        os.kill(child, signal.SIGKILL)
        return _ended(child) == -signal.SIGKILL


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Prints a line for each spec and exits with 1 if any point failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", type=Path, metavar="spec")
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = [file.resolve() for file in options.specs] or sorted((ROOT / "specs").rglob("*.yaml"))
    jobs = [job for file in files if (job := small(file)) is not None]
    home = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    print(f"{'spec':<36} {'steps':>5} {'points':>6} {'failpoints':>10} {'instants':>8} {'lost':>4} {'lost, writing':>13} {'failed':>6}")
    failed = 0
    for number, job in enumerate(jobs):
        share = options.points * (number + 1) // len(jobs) - options.points * number // len(jobs)
        with tempfile.TemporaryDirectory(dir=home) as folder:
            sweep = Sweep(job, random.Random(f"{options.seed} {job.name}"), Path(folder))
            for _ in range(share):
                sweep.point()
        tally, found = sweep.tally, sweep.tally.found
        print(f"{job.name:<36} {sweep.steps:>5} {found['points']:>6} {found['failpoints']:>10} {found['instants']:>8} {tally.lost:>4} "
              f"{tally.writing:>13} {len(tally.failures):>6}", flush=True)
        for failure in tally.failures:
            print(f"    {failure}", flush=True)
        failed += len(tally.failures)
    print(f"checkpoints every {EVERY} batches; failed: {failed}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
