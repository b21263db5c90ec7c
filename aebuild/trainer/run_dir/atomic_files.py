"""Files that are whole or absent, whenever the process dies."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aebuild.lang.diagnostics import Diagnostic, ResourceError, Rule

CANNOT_WRITE = Rule("AE602", "the run directory cannot be written", """
A run writes its metrics and checkpoints while it trains. Here the disk was full, the folder was not writable or the
device reported an error. Every file is written beside the old one and renamed when it is complete, so the last good
checkpoint is whole: free some space or choose another folder, then resume.

```console
$ aebuild train vae -o /read-only/vae      # refused
$ aebuild train vae -o ~/runs/vae          # fine
```
""")

_ADVICE = {
    errno.ENOSPC: "free some space on this disk, then {again}",
    errno.EDQUOT: "your quota on this disk is used up: free some space, then {again}",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.ENOENT: "keep the run directory in its place, on a disk that every machine of the training sees",
    errno.EEXIST: "a file is in the way: choose another folder",
    errno.ENOTDIR: "a file is in the way: choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EROFS: "choose a folder on a disk that can be written",
}


_OF_OUTPUT = {errno.ENOENT: "choose a folder in which files can be made"}


@contextmanager
def storing(path: Path, *, output: bool = False) -> Iterator[None]:
    """Turns what the disk refuses into a ResourceError that names the path and what to do; an `output` is nothing of a run."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        told = (_ADVICE | _OF_OUTPUT if output else _ADVICE).get(error.errno or 0, "check the disk, then {again}")
        fix = told.format(again="repeat the command" if output else "resume the run")
        raise ResourceError(Diagnostic(CANNOT_WRITE, f"cannot write {path}: {reason}", fix=fix)) from error


def write_synced(path: Path, data: bytes) -> None:
    """Writes a new file and waits until the disk has it; OSError if it cannot."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Waits until the disk has the folder's list of names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_synced(path: Path, data: bytes) -> None:
    """Puts these bytes at `path` in one instant, so that readers see none of them or all; OSError if it cannot."""
    fresh = path.with_name(f".new-{path.name}")
    write_synced(fresh, data)
    fresh.replace(path)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """`replace_synced` for a file of the run: ResourceError if the disk refuses."""
    with storing(path):
        replace_synced(path, data)


def copy_file(source: Path, path: Path) -> None:
    """Copies a file to `path`, where it is whole or absent; ResourceError if the disk refuses."""
    fresh = path.with_name(f".new-{path.name}")
    with storing(path):
        shutil.copyfile(source, fresh)
        with fresh.open("rb") as stream:
            os.fsync(stream.fileno())
        fresh.replace(path)


def write_output(place: Path, content: bytes) -> None:
    """What a user asked to be written: a whole file in one instant, with the folders above it; ResourceError where the disk refuses."""
    with storing(place, output=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_synced(place, content)


def replace_json(path: Path, value: Any) -> None:
    """Puts a JSON document at `path` in one instant, indented for people."""
    replace_file(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())
