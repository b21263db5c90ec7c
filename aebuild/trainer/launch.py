"""Several processes of one command on this machine, without torch: started, watched, ended together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

POLL = 0.05          # seconds between looks at the workers
PATIENCE = 2.0       # seconds for the others to end by themselves when one died, then as many after SIGTERM


@dataclass(frozen=True)
class Worker:
    """A process to start: its command line and what its environment has beside this process's."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


def workers(argv: Sequence[str], count: int) -> list[Worker]:
    """`count` processes of one command that will find each other on this machine; cores are divided among them."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if "OMP_NUM_THREADS" not in os.environ:
        shared["OMP_NUM_THREADS"] = str(threads)
    return [Worker(argv, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(count)]


def launch(wanted: Sequence[Worker]) -> int:
    """Runs the workers until all have ended, passing signals on; the exit code of the group.

    If one dies, the others have some seconds to notice, then get SIGTERM, then SIGKILL. The code is that of the first
    worker that told one itself, rather than being killed: 0 if all did.
    """
    running = [subprocess.Popen(worker.argv, env={**os.environ, **worker.env}) for worker in wanted]

    def forward(number: int, _frame: FrameType | None) -> None:
        for process in running:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _watch(running)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    codes = [process.wait() for process in running]
    told = [code for code in codes if code > 0]
    return told[0] if told else max((128 - code for code in codes if code < 0), default=0)


def _watch(running: list[subprocess.Popen[bytes]]) -> None:
    failed: float | None = None
    while any(process.poll() is None for process in running):
        time.sleep(POLL)
        now = time.monotonic()
        if failed is None and any(process.poll() not in (None, 0) for process in running):
            failed = now
        if failed is not None and now - failed > PATIENCE:
            for process in running:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM if now - failed < 2 * PATIENCE else signal.SIGKILL)


def command() -> list[str]:
    """This process's command line, to be started again."""
    return [sys.executable, "-m", "aebuild", *sys.argv[1:]]
