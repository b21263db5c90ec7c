"""Quick fixes: a finding's fix pasted where it removes the finding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lsprotocol import types

from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.fix_edits import Edit, is_gone, mending
from aebuild.lsp.document import Document
from aebuild.lsp.findings import diagnostics, own_place, uri

MOST = 10


def code_actions(document: Document, first: int, last: int, address: str = "") -> list[types.CodeAction]:
    """The fixes of findings on lines from `first` to `last`, each tried before it is offered."""
    return list(islice(_actions(document, first, last, address or uri(document)), MOST))


def _actions(document: Document, first: int, last: int, address: str) -> Iterator[types.CodeAction]:
    for found, shown in zip(document.findings, diagnostics(document), strict=False):
        place = own_place(document, found)
        if place.end_line < first or last < place.line or found.span is None or found.span.text.name != str(document.path):
            continue
        edit = mending(document.text, found, lambda text, found=found: _mends(document, found, text))      # type: ignore[misc]
        if edit is not None:
            yield types.CodeAction(_title(found), kind=types.CodeActionKind.QuickFix, diagnostics=[shown], is_preferred=True,
                                   edit=types.WorkspaceEdit(changes={address: [text_edit(document, edit)]}))


def _mends(document: Document, found: Diagnostic, text: str) -> bool:
    return is_gone(found, document.loaded.diagnostics, document.as_if(text).diagnostics)


def _title(found: Diagnostic) -> str:
    fix = found.fix or ""
    return f"{found.code}: {fix}" if fix.startswith("remove ") else f"{found.code}: write {fix}"


def text_edit(document: Document, edit: Edit) -> types.TextEdit:
    """A change of the text for the editor."""
    start, end = (document.positions.outward(*document.place(at)) for at in (edit.start, edit.end))
    return types.TextEdit(types.Range(start, end), edit.new)
