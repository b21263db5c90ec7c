"""When a training looks at its numbers: a few times a second, on several processes at the same step."""

from __future__ import annotations

import time

from aebuild.trainer.distributed.process_group import Group

LOOK_EVERY = 0.25      # seconds between looks at the numbers: one wait for the device each
LOOK_SHARE = 200       # or this many times as long as a look takes, so that looking costs half a percent at most
LOOK_LATEST = 1.0      # seconds between looks of several processes, which notice signals only then


class Looks:
    """Alone the clock and signals say when; together the first process says how many steps until the next look."""

    def __init__(self, group: Group) -> None:
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
