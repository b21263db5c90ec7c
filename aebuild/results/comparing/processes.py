"""Commands in processes of their own, several at once: a crash of one concerns no other."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aebuild.trainer.distributed.supervisor import Forwarding, end_with_parent
from aebuild.trainer.run_dir.atomic_files import storing

POLL = 0.05        # seconds between looks at the processes


@dataclass(frozen=True)
class Command:
    """A command line, where its output goes, and what its environment has beside ours."""

    key: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


class Workers(Protocol):
    """Whoever carries out commands: processes of this machine, or tasks of a cluster; `jobs` at once."""

    jobs: int

    def free(self) -> bool:
        """True if one more may be started."""
        ...

    def start(self, command: Command) -> None:
        """Begins a command."""
        ...

    def ended(self) -> list[tuple[Command, int]]:
        """Commands that ended since it was asked last, with their exit codes; below zero are signals."""
        ...

    def busy(self) -> bool:
        """True while one runs."""
        ...

    def stopped(self) -> int | None:
        """The signal with which the user asked to stop, which the commands got too; None if nobody did."""
        ...


class Processes:
    """At most `jobs` processes of this machine; Ctrl-C and SIGTERM are passed on to them, and then no more begin.

    `devices` are the GPUs, which the processes take in turn.
    """

    def __init__(self, jobs: int, devices: int = 0) -> None:
        self.jobs, self._devices, self._begun = jobs, devices, 0
        self._forwarding = Forwarding()
        self._running: list[tuple[Command, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Processes:
        self._forwarding.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._forwarding.__exit__()
        for _command, process in self._running:          # only where this process itself failed
            process.terminate()
            process.wait()

    def free(self) -> bool:
        """True if one more may be started."""
        return len(self._running) < self.jobs and self.stopped() is None

    def start(self, command: Command) -> None:
        """Begins a command, in a session of its own so that the terminal's Ctrl-C reaches it once."""
        env = {**surroundings(), **command.env}
        if self._devices > 1:
            env.setdefault("CUDA_VISIBLE_DEVICES", str(self._begun % self._devices))
        self._begun += 1
        with storing(command.log), command.log.open("ab") as log:
            process = subprocess.Popen(list(command.argv), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env,
                                       start_new_session=True, preexec_fn=end_with_parent)
        self._running.append((command, process))
        self._forwarding.running.append(process)
        if (told := self.stopped()) is not None:         # it came while this one was being started
            process.send_signal(told)

    def ended(self) -> list[tuple[Command, int]]:
        """Commands that ended since it was asked last, with their exit codes."""
        found = [(command, process) for command, process in self._running if process.poll() is not None]
        self._running = [each for each in self._running if each not in found]
        self._forwarding.running = [process for _, process in self._running]
        return [(command, process.wait()) for command, process in found]

    def busy(self) -> bool:
        """True while one runs."""
        return bool(self._running)

    def stopped(self) -> int | None:
        """The signal with which the user asked to stop."""
        return self._forwarding.told


def surroundings() -> dict[str, str]:
    """The environment of a training beside others: one thread, unless the user's says otherwise."""
    return {"OMP_NUM_THREADS": "1", **os.environ}


def carry_out(workers: Workers, following: Callable[[], Command | None], on_end: Callable[[Command, int], None]) -> int | None:
    """Starts what `following` gives as long as it gives something, and tells what ended; the signal that stopped it, if one did.

    It is asked whenever one more may begin, so that what it gives can depend on what has ended by then.
    """
    while True:
        while workers.free() and (command := following()) is not None:
            workers.start(command)
        if not workers.busy():
            return workers.stopped()
        ended = workers.ended()
        for command, code in ended:
            on_end(command, code)
        if not ended:
            time.sleep(POLL)
