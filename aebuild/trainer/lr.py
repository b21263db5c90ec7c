"""The learning rate of one player: its dial times torch's schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aebuild.lang.schedule import Ramp, in_steps, value_at

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer

    from aebuild.lang.training import Optimizer


@dataclass(frozen=True)
class Clock:
    """How long a phase is: batches in a pass over the data, and batches in the whole phase."""

    per_epoch: int
    total: int

    @property
    def epochs(self) -> int:
        """Passes over the data, the last one perhaps cut short."""
        return -(-self.total // self.per_epoch)

    def last_of_epoch(self, step: int) -> bool:
        """True if an epoch ends when this many batches are done."""
        return step > 0 and (step % self.per_epoch == 0 or step == self.total)

    def dial(self, dial: Any, step: int) -> float:
        """The value of a number or schedule at this batch of the phase."""
        return value_at(dial, step, self.per_epoch, self.total)

    def in_steps(self, duration: str | None) -> int:
        """A duration in batches; none is 0."""
        return 0 if duration is None else in_steps(duration, self.per_epoch, self.total)


class LearningRate:
    """Sets an optimiser's learning rate before each update.

    A plain number is the optimiser's own business, and torch's schedule works on it as torch documents. Where `lr` is a
    ramp, torch's schedule sees the rate 1 and what it makes of it multiplies the ramp.
    """

    def __init__(self, config: Optimizer, optimizer: TorchOptimizer, clock: Clock) -> None:
        self._dial = config.lr
        self._ramped = isinstance(config.lr, Ramp | list)
        self._each = config.schedule.each if config.schedule is not None else None
        self._optimizer = optimizer
        self._clock = clock
        self._factor = 1.0
        if self._ramped:
            self._set(1.0)
        self.schedule: Any = None
        if config.schedule is not None:
            self.schedule = config.schedule.build_schedule(optimizer, clock.epochs, clock.total)
            self._factor = self.now

    @property
    def now(self) -> float:
        """The rate of the last update, where no factor changes it."""
        first = self._optimizer.param_groups[0]
        return float(first["lr"]) / float(first.get("factor", 1.0))

    def begin(self, step: int) -> None:
        """Sets the rate for this batch of the phase."""
        if self._ramped:
            self._set(self._clock.dial(self._dial, step) * self._factor)

    def batch_done(self) -> None:
        """Tells a schedule that counts batches."""
        if self._each == "step":
            self._advance()

    def epoch_done(self, score: float) -> None:
        """Tells a schedule that counts epochs; `score` is what a plateau is judged by."""
        if self._each == "epoch":
            self._advance(score)

    def _advance(self, score: float | None = None) -> None:
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        if self._ramped:
            self._set(self._factor)
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(score if score is not None else 0.0)
        else:
            self.schedule.step()
        self._factor = self.now

    def _set(self, value: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = value * group.get("factor", 1.0)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"factor": self._factor, "schedule": self.schedule.state_dict() if self.schedule is not None else None}

    def catch_up(self, state: dict[str, Any]) -> None:
        """Where the spec has changed: this schedule at the place that the checkpoint's had reached."""
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        if self.schedule is None or state["schedule"] is None:
            return
        self._optimizer._opt_called = True  # type: ignore[attr-defined]
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.load(state)
            return
        longest = self._clock.epochs if self._each == "epoch" else self._clock.total
        for _ in range(min(state["schedule"]["last_epoch"], longest)):
            self._advance()

    def load(self, state: dict[str, Any]) -> None:
        """The state of a checkpoint."""
        self._factor = state["factor"]
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
            # torch warns of a schedule that steps before its optimiser; here the optimiser stepped before the checkpoint
            self._optimizer._opt_called = True  # type: ignore[attr-defined]
