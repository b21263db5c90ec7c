"""What every command stands on: a current folder, cores, and an output that takes what is written."""

from __future__ import annotations

import errno
import os

from aebuild.lang.diagnostics import Diagnostic, Hint, ResourceError, Rule, UsageError

UNWRITTEN = Rule("AE604", "the results cannot be written", """
Results go to standard output. Here it leads to a disk that is full, or to a device that takes nothing. What a training has saved is
whole: it is in its run directory.

```console
$ aebuild summary vae > /full/summary.txt      # no space left: refused
$ aebuild summary vae > ~/summary.txt          # fine
```
""")
GONE = Rule("AE605", "the current folder is gone", """
The folder in which the command was started was removed in the meantime, so no relative path leads anywhere any more.

```console
$ aebuild validate vae                # in a folder that was removed: refused
$ cd && aebuild validate ~/specs/vae.yaml        # fine
```
""")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def check_folder() -> None:
    """UsageError if the current folder is not there any more."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError(Diagnostic(GONE, "the current folder was removed", fix="cd")) from None


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refused_output(error: OSError) -> ResourceError | None:
    """The error to tell where a stream of the process did not take what was written: it alone has no file name."""
    if error.filename is not None or error.errno not in _FULL:
        return None
    return ResourceError(Diagnostic(UNWRITTEN, f"cannot write to standard output: {error.strerror}",
                                    fix=Hint("free some space, or write the results elsewhere")))
