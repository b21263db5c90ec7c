"""Ctrl-C and SIGTERM: the first asks to save and stop, the second stops at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from aebuild.lang.diagnostics import AebuildError, Diagnostic, Rule

ECHO = 3.0          # seconds in which SIGTERM may come again through a launcher that passes on what all its processes were sent
PATIENCE = 4.0      # seconds until a computation that does not let Python run is left, where nothing is to be saved
STOPPED = Rule("AE506", "training was interrupted", """
Ctrl-C or SIGTERM stopped the training. Its state was saved first, so a resume goes on at the very next step and ends with
the same weights as if it had never stopped. A second signal stops at once, without saving; the last checkpoint is whole
then too, and at most a few seconds of training are repeated.

```console
$ aebuild train --resume runs/vae-20260102-030405
```
""", severity="warning")
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interrupted(AebuildError):
    """Training that was stopped by a signal; the exit code is 128 + the signal."""

    def __init__(self, number: int, where: str, resume: str | None, state: str = "everything is saved") -> None:
        name = _NAMES.get(signal.Signals(number), signal.Signals(number).name)
        super().__init__(Diagnostic(STOPPED, f"stopped by {name} {where}; {state}", fix=resume))
        self.exit_code = 128 + number


class Signals:
    """While entered, SIGINT and SIGTERM stop what is done here; a second one ends the process at once.

    Slurm sends SIGTERM to every process of a job, and torchrun passes on its own to the processes that it started: the same SIGTERM
    within three seconds is one, also when this is left by then.
    Inside `holding` the first is remembered in `caught`, for the trainer to save and stop. Elsewhere there is nothing to
    save: it raises Interrupted, which tells `where` and `resume`. A thread of its own sees to the second signal, and to the
    first one where nothing is to be saved, even if a long computation keeps Python from running. Outside the main thread
    Python cannot handle signals, so nothing is changed there. Entered once more, it stays as it is.
    """

    def __init__(self, where: str = "before it began", resume: str | None = None) -> None:
        self.caught: int | None = None
        self._when = 0.0
        self.where, self.resume = where, resume
        self._held = False
        self._depth = 0
        self._before: dict[int, Any] = {}
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._wakeup = -1

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self._ends = socket.socketpair()
            self._ends[1].setblocking(False)
            self._wakeup = signal.set_wakeup_fd(self._ends[1].fileno(), warn_on_full_buffer=False)
            for number in _NAMES:
                self._before[number] = signal.signal(number, self._handle)
            threading.Thread(target=self._listen, args=(self._ends[0],), name="signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        put_back(self._before, self.caught, self._when)
        self._before.clear()
        if self._ends is not None:
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            self._ends[1].close()
            self._ends = None

    @contextmanager
    def holding(self) -> Iterator[None]:
        """The first signal is remembered while entered; one that nobody acted on stops at the end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.caught is not None:
            self._leave(self.caught)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.caught is not None:
            if not _echoes(self.caught, self._when, number):
                _exit(number)
            return
        self.caught, self._when = number, time.monotonic()
        if not self._held:
            self._leave(number)

    def _leave(self, number: int) -> None:
        raise self._interrupted(number)

    def _interrupted(self, number: int) -> Interrupted:
        return Interrupted(number, self.where, self.resume, "everything is saved" if self.resume else "nothing was to be saved")

    def _listen(self, end: socket.socket) -> None:
        """In its own thread: ends the process on the second signal, or some seconds after a first one that only delays."""
        with end:
            first = _next(end, None)
            if not first:
                return
            when = time.monotonic()
            second = _next(end, None if self._held else PATIENCE)
            while second and _echoes(first, when, second):
                second = _next(end, None if self._held else PATIENCE)
            if second is None:
                print(f"aebuild: {self._interrupted(first).diagnostics[0].message}", file=sys.stderr, flush=True)
            if second != 0:
                _exit(second or first)


def put_back(handlers: dict[int, Any], caught: int | None, when: float) -> None:
    """Sets the handlers that were there before; a SIGTERM that was caught then may still come once more, and does nothing."""
    for number, handler in handlers.items():
        signal.signal(number, _deaf(handler, when) if number == caught == signal.SIGTERM else handler)


def _deaf(handler: Any, when: float) -> Callable[[int, FrameType | None], None]:
    """A handler that passes over echoes of a signal caught at `when`, and is replaced by `handler` at the first other one."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if not _echoes(number, when, number):
            signal.signal(number, handler)
            signal.raise_signal(number)

    return handle


def _echoes(first: int, when: float, number: int) -> bool:
    """True if this signal is the first one once more, by another way."""
    return number == first == signal.SIGTERM and time.monotonic() - when < ECHO


def _next(end: socket.socket, patience: float | None) -> int | None:
    """The number of the next of our signals, 0 if nobody listens to any more, None after so many seconds."""
    end.settimeout(patience)
    try:
        while told := end.recv(1):
            if told[0] in _NAMES:
                return told[0]
    except TimeoutError:
        return None
    return 0


def _exit(number: int) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")      # a live display may have hidden the cursor
    os._exit(128 + number)
