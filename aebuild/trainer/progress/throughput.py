"""How fast a training goes, when it will be done, and when to look at its numbers."""

from __future__ import annotations

import time

from aebuild.trainer.distributed.process_group import ProcessGroup
from aebuild.trainer.profiling.timers import OTHER, Timers

LOOK_EVERY = 0.25      # seconds between looks at the numbers: one wait for the device each
LOOK_SHARE = 200       # or this many times as long as a look takes, so that looking costs half a percent at most
LOOK_LATEST = 1.0      # seconds between looks of several processes, which notice signals only then


class Throughput:
    """Speed and time left as this process sees them; the clock starts with the first epoch."""

    def __init__(self, timers: Timers) -> None:
        self.samples = 0
        self.judged = 0            # samples of all validations
        self._timers = timers
        self._lap = time.perf_counter()
        self._first: tuple[float, int] | None = None

    def go(self) -> None:
        """Training goes on."""
        self._timers.turn("training")

    def rest(self) -> None:
        """Training pauses."""
        self._timers.turn(OTHER)

    def lap(self) -> float:
        """Seconds since the last lap, everything included."""
        now = time.perf_counter()
        self._lap, spent = now, now - self._lap
        return spent

    @property
    def trained(self) -> float:
        """Seconds of training, without those for validation, saving and looking."""
        return self._timers.seconds("training")

    @property
    def speed(self) -> float:
        """Samples a second of training."""
        return self.samples / max(1e-9, self.trained)

    def left(self, done: int, missing: int, unjudged: int, afterwards: int) -> float | None:
        """Seconds until this many more batches are done, and all validation and evaluation; None while nothing is known.

        `unjudged` samples are still to be validated, which the pace does not show before the first validation; `afterwards` ones
        pass the model once more after the training.
        """
        now = time.perf_counter()
        if self._first is None or done <= self._first[1]:
            self._first = self._first or (now, done)
            return None
        hidden = afterwards + (0 if self.judged else unjudged)
        return missing * (now - self._first[0]) / (done - self._first[1]) + hidden * self._judging

    @property
    def _judging(self) -> float:
        """Seconds that a sample takes without a gradient; before any was judged, a third of what it takes with one."""
        if self.judged:
            return self._timers.seconds("validation") / self.judged
        return self.trained / max(1, 3 * self.samples)


class LookInterval:
    """Alone the clock and signals say when; together the first process says how many steps until the next look."""

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self._when = 0.0                       # alone: a time
        self._at = 0                           # together: a step of the run
        self._last: tuple[int, float] | None = None

    def due(self, total: int, caught: int | None) -> bool:
        """True if it is time to look after this many steps of the run."""
        if self._group.size > 1:
            return total >= self._at
        return caught is not None or time.perf_counter() >= self._when

    def done(self, total: int, began: float) -> None:
        """A look ended that began then; all processes agree on the next one."""
        now = time.perf_counter()
        wait = max(LOOK_EVERY, LOOK_SHARE * (now - began))
        self._when = now + wait
        if self._group.size > 1:
            self._at = total + self._group.agree(0, self._steps_in(min(wait, LOOK_LATEST), total, now))[1]

    def _steps_in(self, wait: float, total: int, now: float) -> int:
        before, self._last = self._last, (total, now)
        if before is None or total <= before[0]:
            return 1
        return max(1, int(wait * (total - before[0]) / (now - before[1])))
