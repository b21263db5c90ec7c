"""Changed widths as a change of the user's text, comments and layout kept."""

from __future__ import annotations

from functools import reduce
from typing import Any

from aebuild.compile.spec import Spec
from aebuild.lang.diagnostics import Span


def edited(text: str, name: str, spec: Spec, changes: tuple[tuple[str, int, int], ...]) -> str | None:
    """The text with each changed number of `spec` written over the old one; None where one does not stand in it by itself.

    `name` is the file's, as spans have it. A number of an extended file, one that several layers share and that became two, and one that
    was never written stand nowhere.
    """
    lines = text.splitlines(keepends=True)
    found: dict[Span, int] = {}
    for path, old, new in changes:
        *above, field = path.split(".")
        span = reduce(_step, above, spec).span_of(field)
        if span is None or span.text.name != name or span.line != span.end_line or found.setdefault(span, new) != new:
            return None
        if lines[span.line - 1][span.column - 1:span.end_column - 1] != str(old):
            return None
    for span, new in sorted(found.items(), key=lambda each: (each[0].line, each[0].column), reverse=True):
        line = lines[span.line - 1]
        lines[span.line - 1] = f"{line[:span.column - 1]}{new}{line[span.end_column - 1:]}"
    return "".join(lines)


def _step(held: Any, word: str) -> Any:
    return held[int(word)] if word.isdigit() else getattr(held, word)
