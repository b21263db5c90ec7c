"""Ctrl-C and SIGTERM: the first asks to save and stop, the second stops at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Self

from aebuild.lang.diagnostics import AebuildError, Diagnostic, Rule

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
    """Training that was stopped by a signal after saving; the exit code is 128 + the signal."""

    def __init__(self, number: int, where: str, resume: str) -> None:
        name = _NAMES.get(signal.Signals(number), signal.Signals(number).name)
        super().__init__(Diagnostic(STOPPED, f"stopped by {name} {where}; everything is saved", fix=resume))
        self.exit_code = 128 + number


class Signals:
    """While entered, remembers the first SIGINT or SIGTERM in `caught`; a second one ends the process at once.

    Outside the main thread Python cannot handle signals, so nothing is changed there.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _NAMES:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.caught is None:
            self.caught = number
            return
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), b"\x1b[?25h\n")      # a live display may have hidden the cursor
        os._exit(128 + number)
