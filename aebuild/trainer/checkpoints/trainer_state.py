"""The whole state of a training: saved, taken up again, and the same in all processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from aebuild.compile.build import build
from aebuild.trainer.checkpoints.compatibility import Incompatible, check_players, check_sums, taking_up
from aebuild.trainer.checkpoints.sharded_checkpoint import ShardedCheckpointWriter
from aebuild.trainer.checkpoints.writer import CheckpointWriter
from aebuild.trainer.distributed.fsdp import put, whole
from aebuild.trainer.phase import clock_of

if TYPE_CHECKING:
    import torch

    from aebuild.compile.plan import Plan
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.batches.loader import SplitLoader
    from aebuild.trainer.distributed.process_group import ProcessGroup
    from aebuild.trainer.phase import ActivePhase
    from aebuild.trainer.run_dir.run import Run
    from aebuild.trainer.running_means import RunningMeans


@dataclass
class Best:
    """The best validation score of the phase that runs, and where it was reached."""

    score: float
    epoch: int
    step: int


@dataclass
class Progress:
    """Phase, batches done in it and in the whole run, forward passes done, and seconds spent.

    Epoch and place in the epoch follow from `step`; random numbers follow from `tick`.
    """

    phase: int = 0
    step: int = 0
    total: int = 0
    tick: int = 0
    seconds: float = 0.0
    best: Best | None = None

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """The progress of a checkpoint."""
        best = state["best"]
        return cls(**{**state, "best": Best(**best) if best is not None else None})


class Training(Protocol):
    """What a trainer has that is saved and taken up again."""

    plan: Plan
    run: Run
    group: ProcessGroup
    device: torch.device
    loader: SplitLoader
    model: Autoencoder
    progress: Progress
    sums: RunningMeans
    active: ActivePhase | None
    validation: dict[str, float]

    def activate(self) -> ActivePhase:
        """The phase that is to run, with fresh optimisers."""
        ...

    def say(self, text: str) -> None:
        """Tells the user, and the log."""
        ...


class TrainerState:
    """Puts a trainer's state into checkpoints and back.

    The first process reads and writes, and the others get everything from it. Where the model is sharded, each process writes
    and reads its own piece.
    """

    def __init__(self, trainer: Training, save_every: int | None) -> None:
        self.trainer, self.group = trainer, trainer.group
        self._in_pieces = self.group.sharded
        self._data = self._hash_of_data() if self.group.first else ""
        self.writer: CheckpointWriter = CheckpointWriter(trainer.run, save_every)
        if self._in_pieces:
            self.writer = ShardedCheckpointWriter(trainer.run, save_every, self.group)

    def _hash_of_data(self) -> str:
        told = self.trainer.run.fingerprint
        contents = None if told is None else [told["contents"], told["labels"]]       # not where the files are, nor how old
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()

    def close(self) -> None:
        """Lets what is being written be finished, without raising its error."""
        self.writer.close()

    def begin(self) -> None:
        """The same untrained weights in all processes."""
        if self.group.size > 1:
            put(self.trainer.model, self.group.spread(whole(self.trainer.model.state_dict()), self.trainer.device))

    def due(self) -> bool:
        """True if it is time for a checkpoint; the first process decides."""
        return bool(self.group.agree(0, int(self.group.first and self.writer.due(self.trainer.progress.total)))[1])

    def save(self, *, wait: bool) -> None:
        """Has the best model written if it changed, and the whole state; `wait` until the disk has it."""
        if self.group.sharded and not self._in_pieces:
            self.writer.rewrite(self.trainer.model)
            return
        state = self._state()
        if self._takes_part:
            self.writer.save(self.trainer.model, state, wait=wait)

    def save_best(self) -> None:
        """Writes the best model if it changed, and waits for the disk."""
        if self._takes_part:
            self.writer.save_best()

    def remember_best(self) -> None:
        """Holds the model as it is, the best one so far."""
        progress = self.trainer.progress
        if self._takes_part:
            self.writer.remember_best(self.trainer.model, progress.state(), progress.total)

    def take_up(self) -> tuple[str, tuple[str, ...]]:
        """Loads the newest good checkpoint: its name, and why better ones were passed over; CheckpointError if none is good."""
        state, name, model = None, "", self.trainer.model
        damaged: tuple[str, ...] = ()
        if self._takes_part:
            state, loaded = self.writer.load(model)
            name, damaged = loaded.name, loaded.passed_over
        if not self._in_pieces and self.group.size > 1:
            state, tensors = self.group.spread((state, model.state_dict() if self.group.first else None), self.trainer.device)
            put(model, tensors)
        assert state is not None
        self._restore(state)
        return name, damaged

    def put_together(self) -> None:
        """Gives the trainer a whole model in place of a sharded one; from now on the first process writes alone."""
        if self._in_pieces:
            tensors = whole(self.trainer.model.state_dict())
            self.trainer.model = build(self.trainer.plan).to(self.trainer.device)
            self.trainer.model.load_state_dict(tensors)
            self.writer.close()
            self.writer, self._in_pieces = CheckpointWriter(self.trainer.run), False

    @property
    def _takes_part(self) -> bool:
        return self._in_pieces or self.group.first

    def _state(self) -> dict[str, Any]:
        trainer = self.trainer
        active = trainer.active.state() if trainer.active is not None else None
        average = trainer.active.average.state() if trainer.active is not None and trainer.active.average is not None else None
        return {"progress": trainer.progress.state(), "average": average, "sums": trainer.sums.state(), "validation": trainer.validation,
                "active": active, "maths": {**trainer.plan.maths, "data": self._data}, "clock": self._clock()}

    def _clock(self) -> list[int]:
        """Samples, batch size and batches of an epoch: what a place in an epoch means."""
        phase, samples = self.trainer.plan.phases[self.trainer.progress.phase], self.trainer.loader.samples
        return [samples, phase.batch_size, clock_of(phase, samples).per_epoch]

    def _restore(self, state: dict[str, Any]) -> None:
        trainer = self.trainer
        maths = trainer.plan.maths
        revised = any(state["maths"][name] != maths[name] for name in maths)
        with taking_up():
            trainer.progress = Progress.load(state["progress"])
            check_sums(state["sums"])
            trainer.sums.load(state["sums"], trainer.device)
            trainer.validation, trainer.active = state["validation"], None
            if trainer.progress.phase >= len(trainer.plan.phases):
                raise Incompatible(f"it stands in phase {trainer.progress.phase + 1} of {len(trainer.plan.phases)}")
            if state["active"] is not None:
                trainer.active = trainer.activate()
                check_players(trainer.active, state["active"], revised=revised)
                trainer.active.load(state["active"], revised=revised)
                if trainer.active.average is not None and state.get("average") is not None:
                    trainer.active.average.load(state["average"])
        if self.group.first:
            trainer.run.journal.cut(state["journal"])
        other_data = self.group.agree(int(self.group.first and state["maths"].get("data", self._data) != self._data))[0]
        if other_data or state["maths"]["objective"] != maths["objective"]:
            trainer.progress.best = None              # scores of two objectives, or on two sets of data, cannot be compared
        if state["clock"] != self._clock():
            self._rewind(state["clock"])

    def _rewind(self, clock: list[int]) -> None:
        """To the beginning of the epoch reached: its batches are others now."""
        trainer, (samples, size, per_epoch) = self.trainer, clock
        epoch, begun = divmod(trainer.progress.step, per_epoch)
        now = self._clock()
        trainer.progress.step = epoch * now[2]
        if begun:
            trainer.sums.clear()
        trainer.say(f"an epoch was {samples:,} samples in batches of {size} and is now {now[0]:,} in batches of {now[1]}: "
                    f"going on at the beginning of epoch {epoch + 1}")
