"""Where messages and results go: diagnostics to stderr, results to stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aebuild.lang.diagnostics import Diagnostic
    from aebuild.lang.render import Form, Note


def report(diagnostics: Iterable[Diagnostic], form: Form = "people", notes: Sequence[Note] = ()) -> None:
    """Diagnostics, then notes about data, for people on stderr; `json` is a result and goes to stdout."""
    found = list(diagnostics)
    if found or notes or form == "json":
        from aebuild.lang.render import render

        stream = sys.stdout if form == "json" else sys.stderr
        text = render(found, form, width=columns(), color=colored(stream), notes=notes).rstrip("\n")
        if form == "json":
            print(text)
        else:
            say(text)


def say(text: str) -> None:
    """A message on stderr, if anybody can be told; the exit code tells it in any case."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:                                         # nobody reads, or the disk is full: nothing more goes there
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def note(*sentences: str) -> None:
    """Remarks on stderr that are neither warnings nor errors; text of users and files in them is escaped."""
    from aebuild.lang.printable import clean

    for sentence in sentences:
        say(f"note: {clean(sentence)}")


def colored(stream: object) -> bool:
    """True if the stream is a terminal that may be coloured."""
    return bool(getattr(stream, "isatty", lambda: False)()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns() -> int:
    """The terminal's width, 100 where there is none."""
    import shutil

    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 140))
