"""The folder of a run: how it is recognised, made, and locked by the process that writes it."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from aebuild.lang.diagnostics import BusyError, Diagnostic, Hint, ResourceError, Rule, UsageError
from aebuild.lang.printable import clean
from aebuild.trainer.run_dir.atomic_files import storing

FILES = ("spec.yaml", "plan.json", "data.json")
RUN_EXISTS = Rule("AE501", "the run directory is already in use", """
A new run wants a new or an empty directory, so that no earlier result is overwritten. Resume the run that is there, or
give another path; without a path aebuild makes `runs/NAME-DATE-TIME`.

```console
$ aebuild train vae -o runs/first         # holds an earlier run: refused
$ aebuild train --resume runs/first                     # goes on with it
$ aebuild train vae                          # a new directory
```
""")
UNSHOWN = Rule("AE516", "a run directory whose name cannot be shown", """
The name of a run directory is printed again and again, and commands with it are there to be pasted. Control characters, bytes
that are no text and invisible blanks in it would steer the terminal or be lost on the way.

```console
$ aebuild train vae -o $'runs/\\e[31mred'     # refused
$ aebuild train vae -o runs/red               # fine
```
""")
BUSY = Rule("AE505", "another process writes this run", """
A run directory is written by one process at a time: two would mix their metrics and overwrite each other's checkpoints.
The lock belongs to the operating system and ends with the process that holds it, however that ends, so it never has to be
removed by hand. Wait for the other process, stop it, or train into another directory.

```console
$ aebuild train --resume runs/vae-20260102-030405        # while it still trains: refused
$ aebuild train vae                           # a run of its own
```
""")


def lacking(folder: Path) -> list[str]:
    """The files that make a folder a run directory and that it has not."""
    return [name for name in FILES if not os.path.exists(folder / name)]


def is_run(folder: Path) -> bool:
    """True for a run directory."""
    return not lacking(folder)


def reserved(name: str, folder: Path | None, parent: Path) -> tuple[Path, list[Path]]:
    """The folder, made: the one given, or `parent`/NAME-YYYYmmdd-HHMMSS; and which folders that made, the innermost first.

    UsageError if `folder` holds anything, ResourceError if the disk refuses.
    """
    place = parent if folder is None else folder
    absent = [each for each in (place, *place.parents) if not os.path.lexists(each)]
    if folder is not None:
        return _given(folder), absent
    fresh = _fresh(parent, name)
    return fresh, [fresh, *absent]


def remove_empty(made: Iterable[Path]) -> None:
    """Takes away folders that were made, the innermost first, up to the first that holds something."""
    with suppress(OSError):
        for folder in made:
            folder.rmdir()


def vacant(folder: Path) -> None:
    """UsageError if something is in the folder already, or its name cannot be shown; ResourceError if the disk does not take it."""
    if clean(str(folder)) != str(folder):
        raise UsageError(Diagnostic(UNSHOWN, f"{folder} has characters that cannot be shown",
                                    fix=Hint("choose a name of visible characters")))
    with storing(folder):
        _check_vacant(folder)


def _check_vacant(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(entry.name != "lock" for entry in folder.iterdir())):
        what = "holds a run already" if (folder / "spec.yaml").exists() else "is not an empty folder"
        raise UsageError(Diagnostic(RUN_EXISTS, f"{folder} {what}",
                                    fix=_way_on(folder)))


def _given(folder: Path) -> Path:
    vacant(folder)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _way_on(folder: Path) -> str:
    if (folder / "spec.yaml").is_file():
        return f"aebuild train --resume {shlex.quote(str(folder))}, or give another path"
    return "give a path that does not exist yet, or an empty folder"


def _fresh(parent: Path, name: str) -> Path:
    """A new folder NAME-YYYYmmdd-HHMMSS[-n]; making it is what reserves the name."""
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with storing(parent):
        parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 10_000):
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            with storing(folder):
                folder.mkdir()
            return folder
        except ResourceError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
    raise UsageError(Diagnostic(RUN_EXISTS, f"{parent} holds ten thousand runs of this second", fix=Hint("give a path")))


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


def is_busy(folder: Path) -> bool:
    """True if a process writes this run now.

    The lock is held here for an instant, which could refuse a process that takes it just then: ask only where nothing else tells.
    """
    try:
        handle = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    try:
        from aebuild.trainer.run_dir.records import mapping  # what only tells a run from a spec needs no records

        told = mapping(os.pread(handle, 4096, 0), "lock")
        return f" by process {int(told['pid'])} on {str(told['host'])!r} since {str(told['since'])!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return " by another process"
