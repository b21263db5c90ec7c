"""Where the time of a run goes: every moment is charged to exactly one part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aebuild.trainer.progress.formatting import duration, percents

OTHER = "other"


class Timers:
    """Seconds by part since it was made; the parts add up to the wall time, because one part is charged at any moment."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since = clock()
        self._part = OTHER
        self._spent: dict[str, float] = {}

    def turn(self, part: str) -> str:
        """From now on this part is charged; returns the one before."""
        now, before = self._clock(), self._part
        self._spent[before] = self._spent.get(before, 0.0) + (now - self._since)
        self._since, self._part = now, part
        return before

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Charges this part inside, and then again what was charged before."""
        before = self.turn(part)
        try:
            yield
        finally:
            self.turn(before)

    def seconds(self, part: str) -> float:
        """What this part took up to now."""
        running = self._clock() - self._since if part == self._part else 0.0
        return self._spent.get(part, 0.0) + running

    def spent(self) -> dict[str, float]:
        """The seconds of each part up to now, the longest first."""
        self.turn(self._part)
        return dict(sorted(self._spent.items(), key=lambda item: -item[1]))

    def __str__(self) -> str:
        parts = self.spent()
        shares = ", ".join(f"{name} {share} %" for name, share in percents(parts).items() if share)
        return f"{duration(sum(parts.values()))} in all: {shares}"
