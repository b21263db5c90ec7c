"""What stands under the pointer: findings, the key's meaning, and what the plan makes there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types

from aebuild.lang.diagnostics import Diagnostic, Span
from aebuild.lang.node import Node
from aebuild.lang.part import Part
from aebuild.lsp.document import Document, top_keys
from aebuild.lsp.findings import own_place
from aebuild.lsp.meaning import described
from aebuild.lsp.outline import Spot, inside, spot_at
from aebuild.lsp.steps import written_steps

LAYER_KEYS = {"layer": "the kind of layer of which the block has several", "depth": "number of layers",
              "type": "which variant is meant"}
MOST_ROWS = 12


def hover(document: Document, line: int, column: int) -> types.Hover | None:
    """Markdown for a place, or None where there is nothing to tell."""
    if not document.is_spec:
        return None
    found = [each for each in document.findings if inside(own_place(document, each), line, column)]
    told = [_story(each) for each in found]
    at = spot_at(document.tree, line, column) if document.tree is not None else None
    span: Span | None = None
    if at is not None:
        spot, on_key = at
        told += list(_meaning(spot, on_key))
        span = spot.tree.key if on_key else spot.tree.span
    told += list(_plan(document, line, column))
    if not told:
        return None
    value = types.MarkupContent(types.MarkupKind.Markdown, "\n\n---\n\n".join(told))
    return types.Hover(value, document.positions.range(span) if span is not None else None)


def _story(found: Diagnostic) -> str:
    """A finding with the story that `aebuild explain` tells."""
    return f"**{found.code}** {plain(found.message)}\n\n{found.rule.title.capitalize()}. {found.rule.story.strip()}"


def plain(text: str) -> str:
    """Text of a user, with nothing that Markdown would take as markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)


def _meaning(spot: Spot, on_key: bool) -> Iterator[str]:
    key = spot.key
    if on_key and key.names is None and isinstance(spot.step, str):
        words = top_keys() if len(spot.path) == 1 else LAYER_KEYS
        if key.owner is not None and key.field in key.owner.model_fields:
            yield described(key.owner, key.field, spot.step)
        elif spot.step in words:
            yield f"`{spot.step}`: {words[spot.step]}"
        return
    part = key.names if on_key else spot.family.get(str(spot.tree.value)) if spot.tree.is_scalar else None
    if part is not None:
        yield _about(part)
    elif key.owner is not None and key.field in key.owner.model_fields:
        yield described(key.owner, key.field, str(spot.step))


def _about(part: type[Part]) -> str:
    from aebuild.results.reference import page_of

    return page_of(part).replace("# ", "### ", 1).strip()


def _plan(document: Document, line: int, column: int) -> Iterator[str]:
    around = [step for step in written_steps(document) if step.nodes and inside(step.span, line, column)]
    if not around:
        return
    step = min(around, key=lambda step: (step.span.end_line - step.span.line, step.span.end_column - step.span.column))
    rows = [_row(node) for node in step.nodes[:MOST_ROWS]]
    more = f"\n\n{len(step.nodes) - MOST_ROWS:,} more" if len(step.nodes) > MOST_ROWS else ""
    yield "| node | kind | takes | gives | parameters | MACs |\n| --- | --- | --- | --- | --: | --: |\n" + "\n".join(rows) + more


def _row(node: Node) -> str:
    return f"| {node.path} | {node.kind} | {node.input} | {node.output} | {node.params:,} | {node.all_macs:,} |"
