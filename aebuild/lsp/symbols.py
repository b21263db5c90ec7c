"""The outline of a spec."""

from __future__ import annotations

from lsprotocol import types

from aebuild.lang.tree import Tree
from aebuild.lsp.document import Document

DEEPEST = 4


def symbols(document: Document) -> list[types.DocumentSymbol]:
    """Its keys and steps, as a tree."""
    return _below(document, document.tree, 1) if document.tree is not None and document.is_spec else []


def _below(document: Document, tree: Tree, depth: int) -> list[types.DocumentSymbol]:
    if depth > DEEPEST:
        return []
    if isinstance(tree.value, tuple):
        return [_symbol(document, _step(child, number), child, depth) for number, child in enumerate(tree.value) if not child.is_scalar]
    return [_symbol(document, key, child, depth) for key, child in tree.value.items()] if isinstance(tree.value, dict) else []


def _step(tree: Tree, number: int) -> str:
    name = next(iter(tree.value), "") if isinstance(tree.value, dict) else ""
    return f"{number}: {name}"


def _symbol(document: Document, name: str, tree: Tree, depth: int) -> types.DocumentSymbol:
    chosen = document.positions.range(tree.key or tree.span)
    whole = document.positions.range(tree.span)
    start = min(chosen.start, whole.start, key=lambda at: (at.line, at.character))
    end = max(chosen.end, whole.end, key=lambda at: (at.line, at.character))
    detail = str(tree.value) if tree.is_scalar else None
    kind = types.SymbolKind.Field if tree.is_scalar else types.SymbolKind.Array if tree.is_list else types.SymbolKind.Object
    return types.DocumentSymbol(name or " ", kind, types.Range(start, end), chosen, detail=detail,
                                children=_below(document, tree, depth + 1))
