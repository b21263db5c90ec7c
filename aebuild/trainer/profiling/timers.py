"""Where the time of a run goes: every moment is charged to exactly one section."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aebuild.trainer.progress.formatting import duration, percents

OTHER = "other"


class Timers:
    """Seconds by section since it was made; the sections add up to the wall time, because one section is charged at any moment."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since = clock()
        self._section = OTHER
        self._spent: dict[str, float] = {}

    def turn(self, section: str) -> str:
        """From now on this section is charged; returns the one before."""
        now, before = self._clock(), self._section
        self._spent[before] = self._spent.get(before, 0.0) + (now - self._since)
        self._since, self._section = now, section
        return before

    @contextmanager
    def of(self, section: str) -> Iterator[None]:
        """Charges this section inside, and then again what was charged before."""
        before = self.turn(section)
        try:
            yield
        finally:
            self.turn(before)

    def seconds(self, section: str) -> float:
        """What this section took up to now."""
        running = self._clock() - self._since if section == self._section else 0.0
        return self._spent.get(section, 0.0) + running

    def spent(self) -> dict[str, float]:
        """The seconds of each section up to now, the longest first."""
        self.turn(self._section)
        return dict(sorted(self._spent.items(), key=lambda item: -item[1]))

    def __str__(self) -> str:
        sections = self.spent()
        shares = ", ".join(f"{name} {share} %" for name, share in percents(sections).items() if share)
        return f"{duration(sum(sections.values()))} in all: {shares}"
