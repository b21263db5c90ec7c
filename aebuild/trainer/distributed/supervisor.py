"""Runs a training in processes of its own and takes it up again when one of them dies; never loads torch."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError, WorkerLostError
from aebuild.lang.process import cores
from aebuild.trainer.signals import put_back

LOST = 9           # the exit code of a process that lost another
PATIENCE = 2.0     # seconds for the others of a group to notice that one is lost, and to say so
GRACE = 10.0       # seconds between SIGTERM and SIGKILL for them
POLL = 0.1
PR_SET_PDEATHSIG = 1      # linux/prctl.h
DIED = Rule("AE513", "the training died", """
The process that trains was killed from outside or crashed inside a library: most often the system's memory was full. The
last checkpoint is whole, and `--retries N` takes the training up again from it, at most N times. Here it died once more.

```console
$ aebuild train vae                    # dies with the process
$ aebuild train vae --retries 3        # is resumed up to three times
```
""")
LEAST, PER_CORE = 16, 4      # processes that may always be started, and for each core: more only wait for each other
TOO_MANY = Rule("AE614", "more processes than this machine can use", """
`--devices N` starts N processes, each with a GPU or with a share of the cores, and each with a model of its own. More than
four a core (sixteen are always allowed, for a machine with many GPUs and few cores) gain nothing and fill the memory.

```console
$ aebuild train vae --devices 1000000      # refused
$ aebuild train vae --devices 2
```
""")


@dataclass(frozen=True)
class Worker:
    """One process: its command, and what its environment has beside ours."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How the processes of a group ended; codes below zero are signals."""

    codes: tuple[int, ...]

    @property
    def died(self) -> bool:
        """True if the group may be resumed: a process was killed, or lost another, and none explained why."""
        return self.code == LOST

    @property
    def code(self) -> int:
        """The exit code of the group: that of the first process that told one itself."""
        told = [code for code in self.codes if code > 0 and code != LOST]
        killed = any(code < 0 for code in self.codes)
        if told and not (killed and set(told) == {128 + signal.SIGTERM}):
            return told[0]
        return LOST if killed or LOST in self.codes else 0

    def __str__(self) -> str:
        killed = sorted((-code for code in self.codes if code < 0), key=lambda number: number in (signal.SIGTERM, signal.SIGKILL))
        if not killed:
            return "a worker was lost"
        name = signal.Signals(killed[0]).name
        return f"the training process was ended by {name}" + (", perhaps for want of memory" if killed[0] == signal.SIGKILL else "")


def supervise(commands: Sequence[Worker], again: Callable[[], Sequence[Worker]], retries: int, say: Callable[[str], None]) -> int:
    """Runs the workers together until they end, and resumes them together when one dies; returns their exit code.

    `again` gives the commands that resume. Ctrl-C and SIGTERM are passed on, and what ends then is not resumed. Exit codes
    other than 9 are those of the training and passed on. Raises WorkerLostError after the last retry; without retries the
    processes of a group have told themselves what was lost.
    """
    with Forwarding() as forwarding:
        for attempt in range(retries + 1):
            ending = _run(commands if attempt == 0 else again(), forwarding)
            if forwarding.told is not None and ending.died:
                return 128 + forwarding.told
            if not ending.died or not retries:
                return ending.code
            if attempt < retries:
                say(f"{ending}; resuming from the last checkpoint ({attempt + 1} of {retries})")
        often = f"after {retries} retr{'y' if retries == 1 else 'ies'}"
        raise WorkerLostError(Diagnostic(DIED, f"{ending}, {often}", fix=f"--retries {2 * retries + 1}, or find out what ends it"))


def bounded(count: int) -> int:
    """The number of processes; UsageError if it is more than this machine can use."""
    available = cores()
    most = max(LEAST, PER_CORE * available)
    if count > most:
        here = f"a machine with {available} core{'s'[:available != 1]}"
        raise UsageError(Diagnostic(TOO_MANY, f"{count:,} processes on {here}; at most {most} make sense", fix=f"--devices {available}"))
    return count


def together(argv: Sequence[str], count: int) -> list[Worker]:
    """`count` processes of one command that will find each other on this machine; cores are divided among them."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if "OMP_NUM_THREADS" not in os.environ:
        shared["OMP_NUM_THREADS"] = str(max(1, cores() // count))
    return [Worker(argv, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(count)]


class Forwarding:
    """While entered, what this process is told to do goes to the workers; `told` remembers the signal."""

    def __init__(self) -> None:
        self.told: int | None = None
        self.running: list[subprocess.Popen[bytes]] = []
        self._before: dict[int, Any] = {}
        self._when = 0.0

    def __enter__(self) -> Forwarding:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        put_back(self._before, self.told, self._when)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.told, self._when = signal.SIGTERM if number == signal.SIGHUP else number, time.monotonic()
        _send(self.running, self.told)


def _run(commands: Sequence[Worker], forwarding: Forwarding) -> Ending:
    """Starts the workers, each in a session of its own so that the terminal's Ctrl-C reaches it once, and waits."""
    workers = forwarding.running = []
    for command in commands:
        if forwarding.told is None:
            workers.append(subprocess.Popen(list(command.argv), env={**os.environ, **command.env}, start_new_session=True,
                                            preexec_fn=end_with_parent))
    if forwarding.told is not None:
        _send(workers, forwarding.told)      # it came while they were being started
    while all(not worker.poll() for worker in workers) and any(worker.poll() is None for worker in workers):
        time.sleep(POLL)
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, GRACE)):
        until = time.monotonic() + patience
        while any(worker.poll() is None for worker in workers) and time.monotonic() < until:
            time.sleep(POLL)
        _send(workers, number)
    return Ending(tuple(worker.wait() for worker in workers))


def end_with_parent() -> None:
    """In a worker before it begins: where this process is killed, the worker saves and stops too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _send(workers: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(number)
