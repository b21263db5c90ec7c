"""Opening regular files only: a pipe, device or socket has no end and may never answer."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket",
          stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


class NotRegularError(OSError):
    """The path leads to something that is no regular file; `strerror` says to what."""


def open_regular(path: str | Path) -> IO[bytes]:
    """Opens a regular file for reading bytes, without ever waiting for somebody at the other end.

    Raises OSError, also for a name that no file can have (a NUL in it), and NotRegularError for what is not a regular file.
    """
    try:
        _check(os.stat(path).st_mode, path)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    stream = os.fdopen(handle, "rb")
    try:
        _check(os.fstat(handle).st_mode, path)          # it may have been replaced in between
    except NotRegularError:
        stream.close()
        raise
    return stream


def read_regular(path: str | Path, limit: int) -> bytes:
    """The contents of a regular file, or OSError where it is larger than `limit` bytes; its size is known before it is read."""
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise OSError(errno.EFBIG, f"has {size:,} bytes, more than {limit:,}", str(path))
        return stream.read(limit)


def _check(mode: int, path: str | Path) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise NotRegularError(errno.EINVAL, f"is {kind}, not a regular file", str(path))
