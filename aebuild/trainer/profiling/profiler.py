"""Where the time of a training step goes: some steps under torch's profiler, then training as ever."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity

from aebuild.trainer.profiling.parts import watched
from aebuild.trainer.profiling.shares import STEP, Step, table
from aebuild.trainer.profiling.timers import OTHER, Account
from aebuild.trainer.run_dir.atomic_files import replace_file, storing

if TYPE_CHECKING:
    from aebuild.trainer.batches.loader import Loader
    from aebuild.trainer.phase import ActivePhase
    from aebuild.trainer.running_means import Sums

WARM_UP = 5         # steps before, in which allocators, caches and the profiler itself find their sizes
BETWEEN = "between steps"


class Profile:
    """Profiles some steps after a warm-up and leaves `trace.json` and `table.txt` in a folder.

    While a step is profiled, hooks stand on its modules and its calls are wrapped; both are gone with the step, and nothing in
    other steps knows of it. On a GPU each part waits for the device when it ends, so that its share is its own.
    """

    def __init__(self, steps: int, folder: Path, device: torch.device, say: Callable[[str], None], account: Account) -> None:
        self._wanted, self._folder, self._device, self._say, self._account = steps, folder, device, say, account
        self._seen = 0
        self._watching = ExitStack()
        self._parts = Account(lambda: _now(device))
        self._parts.turn(BETWEEN)
        self._trace: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._trace is not None:
            self._finish()
        elif self._seen < WARM_UP + self._wanted:
            self._say("nothing was profiled: no step was trained")

    def over(self, bounds: Iterable[tuple[int, int]], active: ActivePhase, feed: Loader, sums: Sums) -> Iterator[tuple[int, int]]:
        """The same bounds; the steps that the loop makes of them are profiled when it is their turn."""
        for bound in bounds:
            if self._seen == WARM_UP + self._wanted:
                yield bound
                continue
            if self._trace is None:
                self._begin()
            if self._seen >= WARM_UP:
                self._watch(active, feed, sums)
            yield bound
            self._watching.close()
            self._seen += 1
            if self._seen == WARM_UP + self._wanted:
                self._finish()
            else:
                with _muted():
                    self._trace.step()

    def _begin(self) -> None:
        with self._account.of("profiling"), storing(self._folder):
            self._folder.mkdir(exist_ok=True)
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._device.type == "cuda" else [])]
            self._trace = torch.profiler.profile(activities=activities, acc_events=True, schedule=torch.profiler.schedule(
                wait=0, warmup=WARM_UP, active=self._wanted, repeat=1))
            with _muted():
                self._trace.start()

    def _watch(self, active: ActivePhase, feed: Loader, sums: Sums) -> None:
        self._watching = ExitStack()
        self._watching.enter_context(record_function(STEP))
        self._watching.enter_context(self._parts.of(OTHER))
        self._watching.enter_context(watched(self._parts, active, feed, sums))

    def _finish(self) -> None:
        """Writes and tells what was profiled, be it fewer steps than wanted."""
        with self._account.of("profiling"):
            self._watching.close()
            trace, self._trace = self._trace, None
            with _muted():
                trace.stop()
            done = self._seen - WARM_UP
            if done <= 0:
                self._say(f"nothing was profiled: {self._seen} steps were trained, and the first {WARM_UP} are for warming up")
                return
            parts = {name: seconds for name, seconds in self._parts.spent().items() if name != BETWEEN}
            text = table(Step(done, parts, trace.events(), self._device.type == "cuda"))
            with storing(self._folder):
                trace.export_chrome_trace(str(self._folder / "trace.json"))
            replace_file(self._folder / "table.txt", text.encode())
            self._say(f"{text}\nthe trace is {self._folder / 'trace.json'}, for ui.perfetto.dev or chrome://tracing")


@contextmanager
def _muted() -> Iterator[None]:
    """Keeps the lines that torch's profiler writes to stderr from tearing the display."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
