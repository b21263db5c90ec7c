"""Runs a training in processes of its own and takes it up again when one of them dies; never loads torch."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from aebuild.lang.diagnostics import AebuildError, Diagnostic, Rule

LOST = 9           # the exit code of a process that lost another
GRACE = 10.0       # seconds between SIGTERM and SIGKILL for the others of a group
POLL = 0.1
DIED = Rule("AE513", "the training died", """
The process that trains was killed from outside or crashed inside a library: most often the system's memory was full. The
last checkpoint is whole, and `--retries N` takes the training up again from it, at most N times. Here it died once more.

```console
$ aebuild train specs/vae.yaml                    # dies with the process
$ aebuild train specs/vae.yaml --retries 3        # is resumed up to three times
```
""")


@dataclass(frozen=True)
class Worker:
    """One process: its command, and what its environment has beside ours."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


class WorkerLost(AebuildError):
    """A training whose process died, more often than it may be resumed."""

    exit_code = LOST


@dataclass(frozen=True)
class Ending:
    """How a group of processes ended: the code of the first that failed, below zero for a signal; which it was."""

    code: int
    worker: int = 0

    @property
    def died(self) -> bool:
        """True if the group may be resumed: a process was killed, or lost another."""
        return self.code < 0 or self.code == LOST

    def __str__(self) -> str:
        if self.code >= 0:
            return "a worker was lost"
        name = signal.Signals(-self.code).name
        return f"the training process was ended by {name}" + (", perhaps for want of memory" if -self.code == signal.SIGKILL else "")


def supervise(commands: Sequence[Worker], again: Callable[[], Sequence[Worker]], retries: int, say: Callable[[str], None]) -> int:
    """Runs the workers together until they end, and resumes them together when one dies; returns their exit code.

    `again` gives the commands that resume. Ctrl-C and SIGTERM are passed on, and what ends then is not resumed. Exit codes
    other than 9 are those of the training and passed on. Raises WorkerLost after the last retry.
    """
    with _Forwarding() as forwarding:
        for attempt in range(retries + 1):
            ending = _run(commands if attempt == 0 else again(), forwarding)
            if forwarding.told is not None and ending.died:
                return 128 + forwarding.told
            if not ending.died:
                return ending.code
            if attempt < retries:
                say(f"{ending}; resuming from the last checkpoint ({attempt + 1} of {retries})")
        often = f"after {retries} retr{'y' if retries == 1 else 'ies'}" if retries else "and there were no retries"
        raise WorkerLost(Diagnostic(DIED, f"{ending}, {often}", fix=f"--retries {2 * retries + 1}, or find out what ends it"))


class _Forwarding:
    """While entered, what this process is told to do goes to the workers; `told` remembers the signal."""

    def __init__(self) -> None:
        self.told: int | None = None
        self.running: list[subprocess.Popen[bytes]] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Forwarding:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.told = signal.SIGTERM if number == signal.SIGHUP else number
        _send(self.running, self.told)


def _run(commands: Sequence[Worker], forwarding: _Forwarding) -> Ending:
    """Starts the workers, each in a session of its own so that the terminal's Ctrl-C reaches it once, and waits."""
    workers = forwarding.running = []
    for command in commands:
        if forwarding.told is None:
            workers.append(subprocess.Popen(list(command.argv), env={**os.environ, **command.env}, start_new_session=True))
    if forwarding.told is not None:
        _send(workers, forwarding.told)      # it came while they were being started
    while True:
        codes = [worker.poll() for worker in workers]
        failed = next((Ending(code, index) for index, code in enumerate(codes) if code), None)
        if failed is not None:
            _end(workers)
            return _first_cause(workers, failed)
        if all(code == 0 for code in codes):
            return Ending(0)
        time.sleep(POLL)


def _first_cause(workers: Sequence[subprocess.Popen[bytes]], failed: Ending) -> Ending:
    """The worker that was killed by neither us nor the loss of another, if there is one."""
    told = [Ending(worker.returncode, index) for index, worker in enumerate(workers)]
    ours = (0, LOST, -signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM)
    return failed if failed.code != LOST else next((ending for ending in told if ending.code not in ours), failed)


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Asks those that still run to save and stop, and after the grace period makes them."""
    _send(workers, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while any(worker.poll() is None for worker in workers) and time.monotonic() < until:
        time.sleep(POLL)
    _send(workers, signal.SIGKILL)
    for worker in workers:
        worker.wait()


def _send(workers: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(number)
