"""Diagnostics as people, editors and programs read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from aebuild.lang.diagnostics import Diagnostic, Hint, Span
from aebuild.lang.printable import clean, shown

__all__ = ["SHOWN", "Form", "clean", "ordered", "render", "summary"]

Form = Literal["people", "json", "concise"]
SHOWN = 20                            # findings that are shown; the rest is counted
_LONGEST = 1000                       # characters of one message: more is somebody's data, not a sentence
_STYLES = {"error": "bold red", "warning": "bold yellow"}


@dataclass(frozen=True)
class Note:
    """A sentence about the data of a spec that is no finding."""

    file: str
    text: str


def render(diagnostics: Iterable[Diagnostic], form: Form = "people", width: int = 100, color: bool = False,
           notes: Sequence[Note] = ()) -> str:
    """All findings as text that ends in a line break; nothing for none, but `[]` in JSON.

    `people` shows the source line with the part underlined, `concise` one line for each (`file:line:column: CODE message
    [fix]`), both at most twenty and a summary; `json` is a list of all. User text is escaped in each: no control
    character, bidi character or markup of it reaches a terminal. `color` adds ANSI styles to the form for people.
    `notes` follow, a line each that begins with `note: `; in JSON they are records of severity `note`.
    """
    found = ordered(diagnostics)
    if form == "json":
        return _json(found, notes)
    told_notes = _notes(notes)
    if not found:
        return told_notes
    chosen = _most_telling(found)
    if form == "concise":
        lines = [Text(_concise(diagnostic)) for diagnostic in chosen]
    else:
        lines, told = [], set[str]()
        for diagnostic in chosen:
            lines += [*_people(diagnostic, max(width, 40), diagnostic.code not in told), Text("")]
            told.add(diagnostic.code)
    rest = len(found) - len(chosen)
    if rest:
        lines.append(Text(f"… and {rest:,} more problem{'s' * (rest > 1)}; --format json has all"))
    lines.append(Text(summary(found), "bold" if form == "people" else ""))
    return _printed(lines, width, color and form == "people") + told_notes


def ordered(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By file, line and column, without exact repetitions; findings without a place come last."""
    unique = {(d.code, _place(d.span), d.path if d.span is None else "", d.message): d for d in diagnostics}
    return sorted(unique.values(), key=lambda d: (_place(d.span), not d.is_error, d.code))


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """The count of findings, as in `2 errors, 1 warning in 3 files`."""
    errors = sum(diagnostic.is_error for diagnostic in diagnostics)
    parts = [_count(number, word) for number, word in ((errors, "error"), (len(diagnostics) - errors, "warning")) if number]
    files = {diagnostic.span.text.name for diagnostic in diagnostics if diagnostic.span is not None}
    return (", ".join(parts) or "no problems") + (f" in {_count(len(files), 'file')}" if files else "")


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"


def _place(span: Span | None) -> tuple[bool, str, int, int, int, int]:
    if span is None:
        return True, "", 0, 0, 0, 0
    return False, span.text.name, span.line, span.column, span.end_line, span.end_column


def _most_telling(found: list[Diagnostic]) -> list[Diagnostic]:
    """The first twenty, where warnings give way to errors: what stops a build is never only counted."""
    if len(found) <= SHOWN:
        return found
    chosen = sorted(range(len(found)), key=lambda index: not found[index].is_error)[:SHOWN]
    return [found[index] for index in sorted(chosen)]


def _json(found: list[Diagnostic], notes: Sequence[Note]) -> str:
    records = [*map(_record, found), *map(_note_record, notes)]
    text = json.dumps(records, indent=2)
    return text.replace("\x7f", "\\u007f") + "\n"          # the one control character that ASCII-only JSON lets through


def _record(diagnostic: Diagnostic) -> dict[str, Any]:
    span = diagnostic.span
    hinted = isinstance(diagnostic.fix, Hint)
    return {
        "code": diagnostic.code, "severity": diagnostic.rule.severity, "title": diagnostic.rule.title,
        "message": diagnostic.message,
        "file": span.text.name if span else None, "line": span.line if span else None, "column": span.column if span else None,
        "end_line": span.end_line if span else None, "end_column": span.end_column if span else None,
        "path": diagnostic.path, "fix": None if hinted else diagnostic.fix, "hint": diagnostic.fix if hinted else None,
        "notes": list(diagnostic.notes),
    }


def _note_record(note: Note) -> dict[str, Any]:
    return {"code": None, "severity": "note", "title": "about the data", "message": note.text, "file": note.file, "line": None,
            "column": None, "end_line": None, "end_column": None, "path": "data", "fix": None, "notes": []}


def _notes(notes: Sequence[Note]) -> str:
    """A line each; with its file where they are about more than one."""
    many = len({note.file for note in notes}) > 1
    return "".join(f"note: {clean(note.file) + ': ' if many else ''}{_short(note.text)}\n" for note in notes)


def _concise(diagnostic: Diagnostic) -> str:
    where = f"{clean(str(diagnostic.span))}: " if diagnostic.span else f"{clean(diagnostic.path)}: " if diagnostic.path else ""
    fix = f" [{_short(diagnostic.fix)}]" if diagnostic.fix else ""
    return f"{where}{diagnostic.code} {_short(diagnostic.message)}{fix}"


def _short(text: str) -> str:
    return clean(text if len(text) <= _LONGEST else text[:_LONGEST - 1] + "…")


def _people(diagnostic: Diagnostic, width: int, explain: bool) -> list[Text]:
    severity = diagnostic.rule.severity
    head = Text().append(f"{severity} {diagnostic.code}", _STYLES[severity])
    head.append(" ─ ", "dim").append(_short(diagnostic.message), "bold")
    lines = _wrapped(head, "", width)
    if diagnostic.span is not None:
        lines.append(Text(f"  {clean(str(diagnostic.span))}", "cyan"))
        lines += _source(diagnostic.span, width, _STYLES[severity])
    elif diagnostic.path:
        lines.append(Text(f"  at {clean(diagnostic.path)}", "cyan"))
    if isinstance(diagnostic.fix, Hint):
        lines += _wrapped(Text(_short(diagnostic.fix)), "  hint: ", width)
    elif diagnostic.fix:
        for number, line in enumerate(diagnostic.fix.split("\n")):
            lines.append(Text().append("       " if number else "  fix: ", "bold green").append(_short(line), "green"))
    for note in diagnostic.notes:
        lines += _wrapped(Text(_short(note)), "  note: ", width)
    if explain:
        lines.append(Text(f"  more: aebuild explain {diagnostic.code}", "dim"))
    return lines


def _wrapped(text: Text, label: str, width: int) -> list[Text]:
    """The text in lines of `width` cells, the label in front of the first and blanks in front of the others."""
    indent = " " * (len(label) or 2)
    wrapped = text.wrap(_console(width, False, StringIO()), width - len(indent))
    return [Text(indent if number else label).append_text(line) for number, line in enumerate(wrapped)]


def _source(span: Span, width: int, style: str) -> list[Text]:
    """The first and the last line of the span, each with its part underlined."""
    lines = span.text.lines
    if not 1 <= span.line <= len(lines):
        return []
    last = span.line
    for number in range(min(span.end_line, len(lines)), span.line, -1):
        end = span.end_column - 1 if number == span.end_line else None
        if lines[number - 1][:end].strip():
            last = number
            break
    gutter = max(3, len(str(last)))
    shown_lines = _marked(span, span.line, gutter, width, style)
    if last > span.line + 1:
        shown_lines.append(Text(f"  {'…':>{gutter}}", "dim"))
    if last > span.line:
        shown_lines += _marked(span, last, gutter, width, style)
    return shown_lines


def _marked(span: Span, number: int, gutter: int, width: int, style: str) -> list[Text]:
    line = span.text.lines[number - 1]
    first, ends = number == span.line, number == span.end_line
    start = span.column - 1 if first else len(line) - len(line.lstrip())
    end = span.end_column - 1 if ends else len(line.rstrip())
    excerpt, before, marks = _excerpt(line, start, end, max(20, width - gutter - 6))
    return [Text().append(f"  {number:>{gutter}} │ ", "dim").append(excerpt),
            Text().append(f"  {'':>{gutter}} │ ", "dim").append(" " * before).append("^" * marks, style)]


def _excerpt(line: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """The part of a line around [start, end) in at most `room` cells, and where in it the marks go.

    Gives the text to show, the cells before the first mark and the number of marks, which is at least one.
    """
    start = min(max(start, 0), len(line))
    end = min(max(end, start), len(line))
    low, high = _window(line, start, end, room)
    left, right = "…" * (low > 0), "…" * (high < len(line))
    pieces = [_piece(char) for char in line[low:high]]
    before = cell_len(left + "".join(pieces[:start - low]))
    through = cell_len(left + "".join(pieces[:min(end, high) - low]))
    return left + "".join(pieces) + right, before, max(1, through - before)


def _window(line: str, start: int, end: int, room: int) -> tuple[int, int]:
    """The stretch of a line that fits: the marked part as far as possible, then what stands before and after it."""
    room -= 2
    low = high = start
    while high < end and (cost := _cost(line[high])) <= room:
        high, room = high + 1, room - cost
    spare = room - room // 2
    while low > 0 and room - (cost := _cost(line[low - 1])) >= spare:
        low, room = low - 1, room - cost
    while high < len(line) and (cost := _cost(line[high])) <= room:
        high, room = high + 1, room - cost
    while low > 0 and (cost := _cost(line[low - 1])) <= room:
        low, room = low - 1, room - cost
    return low, high


def _piece(char: str) -> str:
    return "→   " if char == "\t" else shown(char)


def _cost(char: str) -> int:
    """Cells of a character; a combining one counts too, so that a heap of them is cut like any long line."""
    return max(1, cell_len(_piece(char)))


def _console(width: int, color: bool, file: StringIO) -> Console:
    return Console(file=file, width=width, force_terminal=color, color_system="standard" if color else None, no_color=not color,
                   legacy_windows=False, markup=False, emoji=False, highlight=False, _environ={})


def _printed(lines: list[Text], width: int, color: bool) -> str:
    file = StringIO()
    console = _console(width, color, file)
    for line in lines:
        console.print(line, soft_wrap=True)
    return file.getvalue()
