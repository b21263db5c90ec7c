"""Checkpoints of a sharded training: every process writes and reads its own piece."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor, nn

from aebuild.lang.diagnostics import CheckpointError, ResourceError, Silent
from aebuild.trainer.checkpoints.checkpoint import Checkpoint, check_state, pack, seal_folder, unpack, write_tensors
from aebuild.trainer.checkpoints.reader import IN_PIECES, CheckpointReader, Damaged, Extent, piece_name
from aebuild.trainer.checkpoints.rotation import Loaded
from aebuild.trainer.checkpoints.writer import SAVE_EVERY, SAVE_SHARE, Buffers, CheckpointWriter, fill
from aebuild.trainer.distributed.fsdp import by_rows, from_rows, local, rows_of, whole

if TYPE_CHECKING:
    from aebuild.trainer.distributed.process_group import ProcessGroup
    from aebuild.trainer.run_dir.run import Run

T = TypeVar("T")


@dataclass(frozen=True)
class CheckpointShard(Checkpoint):
    """What one process holds of a checkpoint, and by kind and name how all tensors lie in the files of all processes."""

    layout: dict[str, dict[str, Any]] = field(default_factory=dict)


class ShardedCheckpointWriter(CheckpointWriter):
    """CheckpointWriter of a sharded training; all processes call the same methods at once.

    Each writes the rows that it has, the first one also what all have alike, then the JSON and the manifest, when the
    pieces of all are on the disk. A save returns when it is done: ResourceError in the first process if the disk refuses
    in any, Silent in the others.
    """

    def __init__(self, run: Run, every: int | None, group: ProcessGroup) -> None:
        super().__init__(run, every)
        self.group = group

    def remember_best(self, model: nn.Module, progress: dict[str, Any], step: int) -> None:
        """Holds a copy of this process's rows."""
        own, layout = self._own(model.state_dict())
        buffers = self._best[2] if self._best is not None else self._spare.pop() if self._spare else Buffers()
        self._best = (f"best-{step}", CheckpointShard(buffers.fill(own), {"progress": progress}, layout={"model": layout}), buffers)

    def save_best(self) -> None:
        """Writes the held model, if there is one that is not written yet."""
        self._write(self._take_best())

    def save(self, model: nn.Module, state: dict[str, Any], *, wait: bool = True) -> None:
        """Writes the whole state as `step-N`, `best-N` before, and waits for the disk in any case."""
        tensors: dict[str, Tensor] = {}
        packed = pack({**state, "journal": self.run.journal.length()}, tensors)
        weights, layout = self._own(model.state_dict())
        trainer, its = self._own(tensors)
        self._saved = state["progress"]["total"]
        step = (f"step-{self._saved}", CheckpointShard(weights, packed, trainer, {"model": layout, "trainer": its}))
        took = self._write(self._take_best(), step)
        self._next = time.perf_counter() + max(SAVE_EVERY, SAVE_SHARE * took)

    def _own(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What this process writes of these tensors, and how all of them lie."""
        own, layout = {}, {}
        for name, tensor in tensors.items():
            layout[name] = {"shape": list(tensor.shape)}
            if by_rows(tensor):
                own[name] = local(tensor)
                held = [stop - start for start, stop in (rows_of(len(tensor), each, self.group.size) for each in range(self.group.size))]
                assert len(own[name]) == held[self.group.rank], "torch divides as torch.chunk does"
                layout[name]["rows"] = [0, *accumulate(held)]
            else:
                together = whole(tensor)
                if self.group.first:
                    own[name] = together
        return own, layout

    def _write(self, *checkpoints: tuple[str, Checkpoint] | None) -> float:
        """In all processes: seconds it took."""
        began, found = time.perf_counter(), [each for each in checkpoints if each is not None]
        if self.group.first:
            self._lead(found)
        else:
            self._follow([piece for _, piece in found])
        if self._lent is not None:
            self._spare.append(self._lent)
            self._lent = None
        return time.perf_counter() - began

    def _lead(self, found: list[tuple[str, Checkpoint]]) -> None:
        """In the first process; a failure is agreed on when everything is cleared away, so that all end by it."""
        try:
            self.run.journal.sync()
            for name, piece in found:
                self.run.checkpoints.save(name, piece, self._write_folder)
            self.run.checkpoints.prune()
        except ResourceError:
            self.group.agree(1)
            raise
        self.group.agree(0)

    def _write_folder(self, folder: Path, piece: CheckpointShard) -> None:
        folder.mkdir(parents=True)
        self.group.agree(0)
        self.group.word(str(folder.resolve()))
        seals: dict[str, Any] = {}
        for number, told in enumerate(self._put(folder, piece)):
            place = f"process {number + 1} of {self.group.size}"
            if "errno" in told:
                raise OSError(told["errno"], f"{told['reason']} ({place})")
            for name, seal in told["seals"].items():
                if (folder / name).stat().st_size != seal["bytes"]:
                    raise OSError(errno.EIO, f"{name} of {place} does not arrive here")
            seals |= told["seals"]
        layout = {"pieces": self.group.size, **piece.layout}
        seal_folder(folder, {"layout.json": layout, "state.json": piece.state}, seals, IN_PIECES)

    def _follow(self, pieces: list[Checkpoint]) -> None:
        """In the others."""
        for piece in pieces:
            self._heed()
            folder = self.group.word(None)
            assert folder is not None and isinstance(piece, CheckpointShard)
            self._put(Path(folder), piece)
        self._heed()

    def _heed(self) -> None:
        if self.group.agree(0)[0]:
            raise Silent(ResourceError.exit_code)

    def _put(self, folder: Path, piece: CheckpointShard) -> list[dict[str, Any]]:
        """Writes this process's files and hears from all: their seals, or what their disks refused."""
        told: dict[str, Any] = {"seals": {}}
        try:
            for kind, tensors in (("model", piece.model), ("trainer", piece.trainer)):
                if piece.layout.get(kind):
                    name = piece_name(kind, self.group.rank, self.group.size)
                    told["seals"][name] = write_tensors(folder / name, tensors)
        except OSError as error:
            told = {"errno": error.errno or errno.EIO, "reason": error.strerror or str(error)}
        return [json.loads(text) for text in self.group.everyone(json.dumps(told))]

    def load(self, model: nn.Module) -> tuple[dict[str, Any], Loaded]:
        """Puts the newest good `step-N` into the model and returns the trainer's state and what was loaded.

        Each process verifies some of the files and reads the rows that it needs, whoever wrote them.
        """
        read = partial(self._read, model.state_dict())
        try:
            loaded = self.run.checkpoints.load("step", read=partial(self._tell, read)) if self.group.first else self._hear(read)
            fill(model, loaded)
        except CheckpointError as error:
            if self.group.first:
                raise
            raise Silent(error.exit_code) from error
        state = unpack(loaded.checkpoint.state, loaded.checkpoint.trainer)
        self._saved = state["progress"]["total"]
        return state, loaded

    def _tell(self, read: partial[Checkpoint], folder: Path) -> Checkpoint:
        """In the first process, which knows what there is to try."""
        self.group.word(str(folder.resolve()))
        return read(folder)

    def _hear(self, read: partial[Checkpoint]) -> Loaded:
        while True:
            folder = Path(self.group.word(None) or "")
            try:
                return Loaded(read(folder), folder.name)
            except Damaged:
                continue

    def _read(self, targets: Mapping[str, Tensor], folder: Path) -> Checkpoint:
        """This process's part of a checkpoint; Damaged in all processes if one of them finds it so."""
        stored = self._agreed(lambda: self._verified(folder))
        return self._agreed(lambda: self._taken(stored, targets))

    def _agreed(self, action: Callable[[], T]) -> T:
        damage, done = None, None
        try:
            done = action()
        except Damaged as error:
            damage = str(error)
        damage = self.group.word(damage)
        if damage is not None or done is None:
            raise Damaged(damage)
        return done

    def _verified(self, folder: Path) -> CheckpointReader:
        stored = CheckpointReader(folder)
        stored.verify(self.group.rank, self.group.size)
        return stored

    def _taken(self, stored: CheckpointReader, targets: Mapping[str, Tensor]) -> Checkpoint:
        """Weights that are divided here and optimiser states that are divided there by rows, the rest in full."""
        like = next(tensor for tensor in targets.values() if by_rows(tensor))

        def taken(kind: str, wanted: Callable[[str, Extent], bool]) -> dict[str, Tensor]:
            shapes = {}

            def own_rows(name: str, extent: Extent) -> tuple[int, int] | None:
                if not extent.shape or not wanted(name, extent):
                    return None
                shapes[name] = extent.shape
                return rows_of(extent.shape[0], self.group.rank, self.group.size)

            found = stored.tensors(kind, own_rows)
            return {name: from_rows(tensor, shapes[name], like) if name in shapes else tensor for name, tensor in found.items()}

        checkpoint = Checkpoint(taken("model", lambda name, extent: name in targets and by_rows(targets[name])),
                                stored.document("state.json"), taken("trainer", lambda name, extent: extent.rows is not None))
        check_state(stored.folder.name, checkpoint)
        return checkpoint
