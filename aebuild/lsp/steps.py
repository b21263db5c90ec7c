"""Which nodes of the plan stand where in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from aebuild.compile.plan import Plan
from aebuild.lang.diagnostics import Span
from aebuild.lang.families import Layer
from aebuild.lang.node import Node
from aebuild.lang.tree import Tree
from aebuild.lsp.document import Document


@dataclass(frozen=True)
class Step:
    """A written step and its nodes: `span` is what was written, `place` where its type is shown."""

    span: Span
    place: tuple[int, int]
    nodes: tuple[Node, ...]
    label: str


@lru_cache(maxsize=4)
def written_steps(document: Document) -> list[Step]:
    """Data, steps of the halves and heads, and the latent, each with what it becomes; nothing where there is no plan."""
    plan, tree = (document.loaded.plan, document.tree) if document.is_spec else (None, None)
    if plan is None or tree is None:
        return []
    found = list(_of_stage(document, tree.get("encoder"), plan.encoder)) + list(_of_stage(document, tree.get("decoder"), plan.decoder))
    heads = tree.get("heads")
    for head in plan.heads:
        written = heads.get(head.name) if heads is not None else None
        found += _of_stage(document, written.get("network") if written is not None else None, head.node)
    return [*_of_ends(document, tree, plan), *found]


def _of_ends(document: Document, tree: Tree, plan: Plan) -> Iterator[Step]:
    data, latent, decoder = tree.get("data"), tree.get("latent"), tree.get("decoder")
    if data is not None:
        yield Step(data.span, _end(document, data.span), (), f"→ {plan.input}")
    if latent is not None:
        yield Step(latent.span, _end(document, latent.span), (plan.latent.node,), f"→ {plan.latent.code}")
    if decoder is not None and not any(True for _ in _of_stage(document, decoder, plan.decoder)):
        outer = tuple(child for child in plan.decoder.children if not child.inserted)
        yield Step(decoder.span, _end(document, decoder.span), outer, _types([str(node.output) for node in outer]))


def _of_stage(document: Document, written: Tree | None, half: Node) -> Iterator[Step]:
    """The steps of a half that were written in it; a mirrored one has those of the encoder."""
    if written is None:
        return
    groups: dict[tuple[int, int, int, int], tuple[Span, list[Node]]] = {}
    for node in _outermost(document, half):
        origin = node.part._origin
        span = origin.span
        assert span is not None
        own = origin.fields.get("width") if _same(span, written.span) else span         # of a block each width has its own place
        place = span if own is None or own.text.name != span.text.name else own
        if (written.span.line, written.span.column) <= (place.line, place.column) <= (written.span.end_line, written.span.end_column):
            groups.setdefault((place.line, place.column, place.end_line, place.end_column), (place, []))[1].append(node)
    for place, nodes in groups.values():
        yield Step(place, _end(document, place), tuple(nodes), _types([str(node.output) for node in nodes]))


def _types(names: list[str]) -> str:
    shown = names if len(names) <= 8 else [*names[:4], "…", *names[-3:]]
    return " ".join(f"→ {name}" for name in shown)


def _same(one: Span, two: Span) -> bool:
    return (one.line, one.column, one.end_line, one.end_column) == (two.line, two.column, two.end_line, two.end_column)


def _outermost(document: Document, half: Node) -> Iterator[Node]:
    """Nodes of layers that were written in this text, those in others too, but not the pieces of one layer."""
    waiting: list[tuple[Node, object]] = [(half, None)]
    while waiting:
        node, around = waiting.pop(0)
        part, span = node.part, node.part._origin.span
        own = isinstance(part, Layer) and span is not None and span.text.name == str(document.path) and part is not around
        if own:
            yield node
        waiting = [(child, part if own else around) for child in node.children] + waiting


def _end(document: Document, span: Span) -> tuple[int, int]:
    """Behind what was written, or at the end of its first line if it has several."""
    if span.line == span.end_line:
        return span.line, span.end_column
    line = document.positions.line(span.line)
    cut = line.find(" #", span.column - 1)
    return span.line, len(line[:cut].rstrip() if cut >= 0 else line) + 1
