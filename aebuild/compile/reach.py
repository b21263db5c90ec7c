"""How far a half reaches: through layers, and over its input."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import gcd

from aebuild.lang.conditioning import ENCODER
from aebuild.lang.node import Node

RECURRENT = frozenset({"rnn", "lstm", "gru"})
FARTHEST = 2 ** 40          # places; more are not counted, for no data have as many
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

    Padding is not looked at. Behind layers that go up not all places see equally many: the field is that of the one that sees most,
    or more where a stride stands behind them, or where a size is no multiple of the one before. What a normalisation tells a place
    about the others is not counted. A shortcut sees less than what it goes around. The layers of a condition's own see places of the
    condition.
    """
    field: list[_Seen] | None = [_Seen() for _ in range(3)]
    for node in _without_shortcuts(half):
        if node.kind == ENCODER:
            for network in node.children:
                yield from receptive_fields(network)
            continue
        if node.children and not (node.own_params or node.macs):
            continue
        if not node.children or node.kind in _SEES_ALL:
            field = _grown(node, field)
        yield node, None if field is None else tuple([seen.by(1) for seen in field[:len(node.output.places)]])


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


def _grown(node: Node, field: list[_Seen] | None) -> list[_Seen] | None:
    if node.window is None or field is None:
        return None
    for axis, (kernel, stride) in enumerate(node.window):
        if (kernel, stride) != (1, 1):
            field[axis].go_on(kernel, *Fraction(stride).limit_denominator(10_000).as_integer_ratio())
    return field


class _Seen:
    """How many places in a row of a half's input n places in a row see: `times`·⌈(`step`·n + `more`) / `parts`⌉ + `beside`.

    Going back through a layer of stride p/q, n places see at most ⌈(p·(n − 1) + kernel) / q⌉, some n of them as many as that.
    """

    def __init__(self) -> None:
        self.times, self.beside = 1, 0
        self.step, self.more, self.parts = 1, 0, 1

    def by(self, places: int) -> int:
        """What so many places see."""
        return self.times * -(-(self.step * places + self.more) // self.parts) + self.beside

    def go_on(self, kernel: int, down: int, up: int) -> None:
        """The same for places of the next layer, whose stride is down/up."""
        if self.times > FARTHEST:
            return
        slack = up - 1 if self.step > 1 else 0          # a place more or less in front of a stride: rounded up
        self.more = self.step * (kernel - down + slack) + self.more * up
        self.step, self.parts = self.step * down, self.parts * up
        common = gcd(self.step, self.parts)
        self.step, self.more, self.parts = self.step // common, -(-self.more // common), self.parts // common
        if self.parts == 1:
            self.times, self.beside = self.times * self.step, self.times * self.more + self.beside
            self.step, self.more = 1, 0
