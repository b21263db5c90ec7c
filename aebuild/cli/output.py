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
    stream = sys.stdout if form == "json" else sys.stderr
    if found or notes or form == "json":
        from aebuild.lang.render import render

        stream.write(render(found, form, width=columns(), color=colored(stream), notes=notes).rstrip("\n") + "\n")


def colored(stream: object) -> bool:
    """True if the stream is a terminal that may be coloured."""
    return bool(getattr(stream, "isatty", lambda: False)()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns() -> int:
    """The terminal's width, 100 where there is none."""
    import shutil

    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 140))
