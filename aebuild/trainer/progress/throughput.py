"""How fast a training goes and when it will be done."""

from __future__ import annotations

import time

from aebuild.trainer.profiling.timers import OTHER, Account


class Pace:
    """Speed and time left as this process sees them; the clock starts with the first epoch."""

    def __init__(self, account: Account) -> None:
        self.samples = 0
        self.judged = 0            # samples of all validations
        self._account = account
        self._lap = time.perf_counter()
        self._first: tuple[float, int] | None = None

    def go(self) -> None:
        """Training goes on."""
        self._account.turn("training")

    def rest(self) -> None:
        """Training pauses."""
        self._account.turn(OTHER)

    def lap(self) -> float:
        """Seconds since the last lap, everything included."""
        now = time.perf_counter()
        self._lap, spent = now, now - self._lap
        return spent

    @property
    def trained(self) -> float:
        """Seconds of training, without those for validation, saving and looking."""
        return self._account.seconds("training")

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
            return self._account.seconds("validation") / self.judged
        return self.trained / max(1, 3 * self.samples)
