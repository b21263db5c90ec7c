"""How fast a training goes and when it will be done."""

from __future__ import annotations

import time

from aebuild.trainer.account import OTHER, Account


class Pace:
    """Speed and time left as this process sees them; the clock starts with the first epoch."""

    def __init__(self, account: Account) -> None:
        self.samples = 0
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

    def left(self, done: int, missing: int) -> float | None:
        """Seconds until this many more batches are done, everything included; None while nothing is known."""
        now = time.perf_counter()
        if self._first is None or done <= self._first[1]:
            self._first = self._first or (now, done)
            return None
        return missing * (now - self._first[0]) / (done - self._first[1])
