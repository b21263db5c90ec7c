"""How far a half reaches: through layers, and over its input."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from aebuild.lang.conditioning import ENCODER
from aebuild.lang.node import Node

RECURRENT = frozenset({"rnn", "lstm", "gru"})
_SEES_ALL = RECURRENT | {"attention", "transformer", "unroll"}


def gradient_path(node: Node) -> int:
    """Layers with weights that the gradient passes one after the other on its longest way; a recurrent one counts for each place."""
    if not node.children:
        if node.kind in RECURRENT:
            return node.output.series_length or 1
        return int(node.macs > 0)
    inside = {child.name: gradient_path(child) for child in node.children if not child.aside}
    if node.kind == "unroll":
        _, cell, tail = inside.values()
        return inside["initial"] + (node.output.series_length or 1) * (min(cell, 1) + tail)
    shortcut = inside.pop("shortcut", 0)
    return max(sum(inside.values()), shortcut)


def receptive_fields(half: Node) -> Iterator[tuple[Node, tuple[int, ...] | None]]:
    """Each node that computes or has weights, with the places of the half's input that one of its places sees; None for all.

    Exact for convolutions and pooling that go down, whose padding is not looked at; of layers that go up, rounded up. What a
    normalisation tells a place about the others is not counted. A shortcut sees less than what it goes around. The layers of a
    condition's own see places of the condition.
    """
    field: list[Fraction] | None = [Fraction(1)] * 3
    jump = [Fraction(1)] * 3
    for node in _without_shortcuts(half):
        if node.kind == ENCODER:
            for network in node.children:
                yield from receptive_fields(network)
            continue
        if node.children and not (node.own_params or node.macs):
            continue
        if not node.children or node.kind in _SEES_ALL:
            field = _grown(node, field, jump)
        yield node, None if field is None else tuple(ceil(f) for f in field[:len(node.output.places)])


def receptive_field(half: Node) -> tuple[int, ...] | None:
    """What one place of the half's output sees of its input, places along each axis; None for all of it."""
    last: tuple[int, ...] | None = (1,) * len(half.input.places)
    for _, last in receptive_fields(half):
        if last is None:
            return None
    return last if half.output.places else None


def _without_shortcuts(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        if child.kind == ENCODER:
            yield child
        elif child.kind != "shortcut":
            yield from _without_shortcuts(child)


def _grown(node: Node, field: list[Fraction] | None, jump: list[Fraction]) -> list[Fraction] | None:
    if node.window is None or field is None:
        return None
    for axis, (kernel, stride) in enumerate(node.window):
        step = Fraction(stride).limit_denominator(10_000)
        if step < 1:
            jump[axis] *= step
            field[axis] += (kernel - 1) * jump[axis]
        else:
            field[axis] += (kernel - 1) * jump[axis]
            jump[axis] *= step
    return field
