"""What a diagram says of nodes, terms and phases, in few words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aebuild.compile.plan import Plan
from aebuild.lang.node import Node
from aebuild.lang.terms import TermPlan
from aebuild.results.summary import count

LONGEST = 76                    # characters of a label; the rest stands in the box's title, which a browser shows
_TOLD = ("kernel", "stride", "block", "heads", "mode", "source")       # arguments that tell layers of one kind apart
_SWITCHES = ("causal", "reverse", "bidirectional")


def label(nodes: Sequence[Node], around: Node) -> str:
    """A row of the diagram: what each of its boxes is, and what they are together where that is something else."""
    inserted = all(node.inserted for node in nodes)
    told = " · ".join(words_of(node) + ("" if inserted or not node.inserted else " (inserted)") for node in nodes)
    if not any(around.kind in node.kind for node in nodes):
        told = f"{words_of(around)}: {told}"
    told += " (inserted)" if inserted else ""
    return told if len(told) <= LONGEST else f"{told[:LONGEST - 1]}…"


def words_of(node: Node) -> str:
    """One node: its kind, its features where it has weights, and what tells it from others of its kind."""
    told = [node.kind.replace("_", " ")]
    if node.macs:
        told.append(str(node.output.features))
    told += [words for name in _TOLD if (words := _argument(name, node.args.get(name)))]
    told += [name for name in _SWITCHES if node.args.get(name) is True]
    return " ".join(told)


def _argument(name: str, value: Any) -> str:
    if value is None or isinstance(value, dict):
        return ""
    values = list(value) if isinstance(value, list | tuple) else [value]
    if name in ("stride", "kernel") and set(values) == {1}:
        return ""
    word = str(values[0]) if len(set(map(str, values))) == 1 else "×".join(map(str, values))
    return word if name == "mode" else f"from {word}" if name == "source" else f"{name} {word}"


def title(node: Node) -> str:
    """All of a node, for whoever points at its box."""
    parameters = f", {node.params:,} parameters" if node.params else ""
    return f"{node.path}: {node.kind}, {node.input} → {node.output}{parameters}{', inserted' if node.inserted else ''}"


def code_words(plan: Plan) -> str:
    """The code's type and size."""
    return f"code {plan.latent.code}, {plan.latent.bits:,.0f} bits"


def term_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each loss term and what it is; where several players train, whose it is."""
    several = len({term.player for term in plan.terms}) > 1
    for term in plan.terms:
        told = [weight_words(term)] if weight_words(term) else []
        variant = term.config.variant_name()
        told += [variant] if variant is not None and variant != term.name else []
        told.append(f"{term.config.reduction} of {term.elements:,}")
        told += [f"trains {term.player}"] if several else []
        yield term.name, ", ".join(told)


def weight_words(term: TermPlan) -> str:
    """The term's weight, where it is not one."""
    weight = term.config.weight
    if isinstance(weight, int | float):
        return "" if weight == 1 else f"× {weight:g}"
    return "× a schedule"


def headline(plan: Plan) -> str:
    """The whole model in a line."""
    return f"{plan.input} → {plan.latent.code} → {plan.target} · {count(plan.params) or 'no'} parameters · {count(plan.macs) or 'no'} MACs"
