"""How fast a training goes and when it will be done."""

from __future__ import annotations

import time


class Pace:
    """Speed and time left as this process sees them; the clock starts with the first epoch."""

    def __init__(self) -> None:
        self.samples = 0
        self._trained = 0.0
        self._going: float | None = None
        self._lap = time.perf_counter()
        self._first: tuple[float, int] | None = None

    def go(self) -> None:
        """Training goes on."""
        self._going = time.perf_counter()

    def rest(self) -> None:
        """Training pauses for validation or saving."""
        if self._going is not None:
            self._trained += time.perf_counter() - self._going
            self._going = None

    def lap(self) -> float:
        """Seconds since the last lap, everything included."""
        now = time.perf_counter()
        self._lap, spent = now, now - self._lap
        return spent

    @property
    def speed(self) -> float:
        """Training samples a second, without the time for validation and saving."""
        running = time.perf_counter() - self._going if self._going is not None else 0.0
        return self.samples / max(1e-9, self._trained + running)

    def left(self, done: int, missing: int) -> float | None:
        """Seconds until this many more batches are done, everything included; None while nothing is known."""
        now = time.perf_counter()
        if self._first is None or done <= self._first[1]:
            self._first = self._first or (now, done)
            return None
        return missing * (now - self._first[0]) / (done - self._first[1])
