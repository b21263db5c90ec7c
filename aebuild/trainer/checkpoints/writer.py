"""When and what a training saves, and how it takes up a checkpoint again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.trainer.checkpoints.checkpoint import Checkpoint, pack, read_training, unpack
from aebuild.trainer.checkpoints.rotation import Loaded

if TYPE_CHECKING:
    from aebuild.trainer.run_dir.run import Run

SAVE_EVERY = 20.0      # seconds between checkpoints, or
SAVE_SHARE = 50        # this many times as long as the last one took, so that saving costs two percent at most
OTHER_MODEL = Rule("AE507", "the checkpoint does not fit the model", """
The names or shapes of the tensors in the checkpoint are not those of the model that this spec builds. The checkpoint is
undamaged, so the run was made with another spec or another version of aebuild. `environment.json` in the run tells which.

```console
$ aebuild train --resume runs/vae     # made by another version: refused
$ aebuild train vae        # a new run
```
""")


class Buffers:
    """One set of copies in main memory, pinned where the tensors are on a GPU; filled again and again."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def fill(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies of these tensors, complete when this returns, in the memory of the last call where it fits."""
        copies, devices = {}, set()
        for name, tensor in tensors.items():
            own = tensor.detach()
            held = self._held.get(name)
            if held is None or held.shape != own.shape or held.dtype != own.dtype:
                held = torch.empty(own.shape, dtype=own.dtype, pin_memory=own.is_cuda)
            copies[name] = held.copy_(own, non_blocking=own.is_cuda)
            if own.is_cuda:
                devices.add(own.device)
        for device in devices:
            torch.cuda.current_stream(device).synchronize()
        self._held = copies
        return copies


class CheckpointWriter:
    """Saves `step-N` now and then, and before it `best-N` if there is a better one.

    The training thread only copies tensors; a second thread writes, hashes, waits for the disk, renames and prunes. One
    write is in flight at a time, and its error is raised at the next look or save. A better model is first held in memory
    only: if the process dies, the resumed training finds it again. `every` is the number of batches between checkpoints;
    without it they are counted in seconds.
    """

    def __init__(self, run: Run, every: int | None = None) -> None:
        self.run, self.every = run, every
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._flight: Future[float] | None = None
        self._next = time.perf_counter() + SAVE_EVERY
        self._saved = -1
        self._state = Buffers()
        self._spare: list[Buffers] = []
        self._lent: Buffers | None = None        # what the flight is reading
        self._best: tuple[str, Checkpoint, Buffers] | None = None

    def close(self) -> None:
        """Lets the writer finish and ends it, without raising its error."""
        self._writer.shutdown()

    def counts(self, total: int) -> bool:
        """True at the very batches at which a save is due by their count."""
        return self.every is not None and total % self.every == 0

    def due(self, total: int) -> bool:
        """True if the last save was long enough ago and is written; raises what went wrong in it."""
        landed = self._landed()
        if self.every is not None:
            return self.counts(total) and total != self._saved
        return landed and time.perf_counter() >= self._next

    def _landed(self) -> bool:
        if self._flight is not None and self._flight.done():
            flight, self._flight = self._flight, None
            if self._lent is not None:
                self._spare.append(self._lent)
                self._lent = None
            took = flight.result()
            self._next = time.perf_counter() + max(SAVE_EVERY, SAVE_SHARE * took)
        return self._flight is None

    def wait(self) -> None:
        """Returns when the last save is on the disk; raises what went wrong in it."""
        if self._flight is not None:
            self._flight.exception()
        self._landed()

    def remember_best(self, model: nn.Module, progress: dict[str, Any], step: int) -> None:
        """Holds a copy of the model as it is, the best one of this step."""
        buffers = self._best[2] if self._best is not None else self._spare.pop() if self._spare else Buffers()
        copy = Checkpoint(buffers.fill(model.state_dict()), {"progress": progress})
        self._best = (f"best-{step}", copy, buffers)

    def save_best(self) -> None:
        """Writes the held model, if there is one that is not written yet, and waits for the disk."""
        self.wait()
        if self._best is not None:
            self._flight = self._writer.submit(self._write, self._take_best(), None)
            self.wait()

    def save(self, model: nn.Module, state: dict[str, Any], *, wait: bool = True) -> None:
        """Copies the whole state and has it written as `step-N`, `best-N` before; ResourceError if the disk refuses.

        Without `wait` it returns after the copy, unless the last save is still being written.
        """
        self.wait()
        tensors: dict[str, Tensor] = {}
        packed = pack({**state, "journal": self.run.journal.length()}, tensors)
        own = self._state.fill({**{f"model/{name}": tensor for name, tensor in model.state_dict().items()},
                                **{f"trainer/{name}": tensor for name, tensor in tensors.items()}})
        copy = Checkpoint(_under("model/", own), packed, _under("trainer/", own))
        self._saved = state["progress"]["total"]
        self._flight = self._writer.submit(self._write, self._take_best(), (f"step-{self._saved}", copy))
        if wait:
            self.wait()

    def _take_best(self) -> tuple[str, Checkpoint] | None:
        if self._best is None:
            return None
        name, copy, buffers = self._best
        self._best, self._lent = None, buffers
        return name, copy

    def _write(self, *checkpoints: tuple[str, Checkpoint] | None) -> float:
        """In the writer's thread: seconds it took."""
        began = time.perf_counter()
        self.run.journal.sync()
        for found in checkpoints:
            if found is not None:
                self.run.checkpoints.save(*found)
        self.run.checkpoints.prune()
        return time.perf_counter() - began

    def rewrite(self, model: nn.Module) -> None:
        """Puts other weights into the newest good `step-N`, whose other state stays; waits for the disk."""
        self.wait()
        loaded = self.run.checkpoints.load("step", read=read_training)
        self.run.checkpoints.save(loaded.name, replace(loaded.checkpoint, model=model.state_dict()))
        self.run.checkpoints.prune()

    def load(self, model: nn.Module) -> tuple[dict[str, Any], Loaded]:
        """Puts the newest good `step-N` into the model and returns the trainer's state and what was loaded."""
        self.wait()
        loaded = self.run.checkpoints.load("step", read=read_training)
        fill(model, loaded)
        state = unpack(loaded.checkpoint.state, loaded.checkpoint.trainer)
        self._saved = state["progress"]["total"]
        return state, loaded


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def fill(model: nn.Module, loaded: Loaded) -> None:
    """Puts a checkpoint's tensors into the model; CheckpointError if they do not fit."""
    fill_model(model, loaded.checkpoint.model, loaded.name)


def fill_model(model: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Puts tensors into the model; CheckpointError if they do not fit, which calls them by this name."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        message = f"checkpoint `{name}` does not fit the model: {first[0].strip()}"
        raise CheckpointError(Diagnostic(OTHER_MODEL, message, fix=Hint("use the version named in environment.json"))) from error
