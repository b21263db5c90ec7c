"""A lock on a run directory that dies with its process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from aebuild.lang.diagnostics import BusyError, Diagnostic, Hint, Rule
from aebuild.trainer.run_dir.atomic_files import storing
from aebuild.trainer.run_dir.records import mapping

BUSY = Rule("AE505", "another process writes this run", """
A run directory is written by one process at a time: two would mix their metrics and overwrite each other's checkpoints.
The lock belongs to the operating system and ends with the process that holds it, however that ends, so it never has to be
removed by hand. Wait for the other process, stop it, or train into another directory.

```console
$ aebuild train --resume runs/vae-20260102-030405        # while it still trains: refused
$ aebuild train vae                           # a run of its own
```
""")


class Lock:
    """The right to write a run directory, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """BusyError naming the holder if another process, or another Lock of this one, has it."""
        with storing(path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self._handle)
            os.close(self._handle)
            raise BusyError(Diagnostic(BUSY, f"{path.parent} is being written{holder}",
                                       fix=Hint("wait for it, stop it, or train into another directory"))) from None
        with storing(path):
            os.ftruncate(self._handle, 0)
            text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
            os.pwrite(self._handle, text.encode(), 0)

    def release(self) -> None:
        """Lets others write; calling it twice does no harm."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _holder(handle: int) -> str:
    try:
        told = mapping(os.pread(handle, 4096, 0), "lock")
        return f" by process {int(told['pid'])} on {str(told['host'])!r} since {str(told['since'])!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return " by another process"
