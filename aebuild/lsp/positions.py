"""Places of a text as aebuild counts them and as editors do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types

from aebuild.lang.diagnostics import Span

BYTES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}      # of one unit
CODECS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


@dataclass(frozen=True)
class Positions:
    """The way between columns in characters, from 1, and an editor's in units of an encoding, from 0."""

    lines: Sequence[str]
    encoding: str = "utf-16"

    def outward(self, line: int, column: int) -> types.Position:
        """A line and a column, both from 1, for the editor."""
        before = self.line(line)[:max(0, column - 1)]
        units = len(before.encode(CODECS[self.encoding], "surrogatepass")) // BYTES[self.encoding]
        return types.Position(max(0, line - 1), units)

    def inward(self, position: types.Position) -> tuple[int, int]:
        """The editor's position as a line and a column, both from 1; one inside a character is its beginning."""
        raw = self.line(position.line + 1).encode(CODECS[self.encoding], "surrogatepass")
        before = raw[:max(0, position.character) * BYTES[self.encoding]].decode(CODECS[self.encoding], "ignore")
        return position.line + 1, len(before) + 1

    def range(self, span: Span) -> types.Range:
        """A span for the editor; an empty one is widened to a character, for an editor shows nothing else."""
        end = span.end_column + ((span.line, span.column) == (span.end_line, span.end_column))
        return types.Range(self.outward(span.line, span.column), self.outward(span.end_line, end))

    def line(self, number: int) -> str:
        """The text of a line, counted from 1; empty outside."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""
