"""Findings as an editor shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lsprotocol import types

from aebuild.lang.diagnostics import Diagnostic, Span
from aebuild.lsp.document import Document
from aebuild.lsp.positions import Positions

MOST = 200
_PLACE = re.compile(r"line (\d+), column (\d+)")


def diagnostics(document: Document) -> list[types.Diagnostic]:
    """What `validate` finds, with code, range and related places."""
    return [_shown(document, found) for found in document.findings[:MOST]]


def _shown(document: Document, found: Diagnostic) -> types.Diagnostic:
    notes = [note for note in found.notes if _PLACE.search(note) is None]
    message = "\n".join([found.message, *notes, *([f"⟶ {found.fix}"] if found.fix else [])])
    return types.Diagnostic(
        range=document.positions.range(own_place(document, found)), message=message, code=found.code, source="aebuild",
        severity=types.DiagnosticSeverity.Error if found.is_error else types.DiagnosticSeverity.Warning,
        related_information=list(_related(document, found)) or None)


def own_place(document: Document, found: Diagnostic) -> Span:
    """The place in this text: of a finding in a file that it extends that of `extends`, of one without a place the beginning."""
    span = found.span
    if span is not None and span.text.name == str(document.path):
        return span
    extends = document.tree.get("extends") if document.tree is not None else None
    if extends is not None and span is not None:
        return extends.span
    from aebuild.lang.diagnostics import Text

    return Span(Text(str(document.path), tuple(document.lines)), 1, 1, 1, 1 + len(document.lines[0]))


def _related(document: Document, found: Diagnostic) -> Iterator[types.DiagnosticRelatedInformation]:
    if found.span is not None and found.span.text.name != str(document.path):
        other = Path(found.span.text.name)
        if other.is_file():
            place = Positions(found.span.text.lines, document.encoding).range(found.span)
            yield types.DiagnosticRelatedInformation(types.Location(other.resolve().as_uri(), place), found.message)
    for note in found.notes:
        for line, column in _PLACE.findall(note):
            at = document.positions.outward(int(line), int(column))
            end = document.positions.outward(int(line), len(document.positions.line(int(line))) + 1)
            yield types.DiagnosticRelatedInformation(types.Location(uri(document), types.Range(at, end)), note)


def uri(document: Document) -> str:
    """The document's address."""
    return Path(document.path).absolute().as_uri()
