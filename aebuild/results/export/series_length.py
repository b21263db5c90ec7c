"""Of which length the series may be that a program takes: any, where the design does not depend on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from aebuild.compile.build import build_node
from aebuild.compile.planner import plan
from aebuild.lang.values import Grid, Tokens, Value, Vector

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.node import Node
    from aebuild.lang.samples import DataInfo


@dataclass(frozen=True)
class SeriesLength:
    """How many places the input of a program may have: `usual`, as in training, or `least` and each `step` more.

    `axis` is that of the places. `least` is None where the design fixes the length, and `why` says by what.
    """

    usual: int
    axis: int
    least: int | None = None
    why: str = ""
    step: int = 1

    def __str__(self) -> str:
        if self.least is None:
            return f"takes series of {self.usual:,} places only: {self.why}"
        if self.step > 1:
            return f"takes series of {self.least:,}, {self.least + self.step:,}, {self.least + 2 * self.step:,}, … places"
        return f"takes series of any length{f' from {self.least:,} places on' if self.least > 1 else ''}"

    def others(self) -> list[int]:
        """Some lengths besides the usual one: the least, a shorter and a longer one; none where it is fixed."""
        if self.least is None:
            return []
        shorter = self.least + max(0, self.usual // 2 - self.least) // self.step * self.step
        return sorted({self.least, shorter, self.usual + (self.usual // (2 * self.step) + 1) * self.step} - {self.usual})


def series_lengths(design: Plan, info: DataInfo) -> dict[str, SeriesLength]:
    """By part (model, encoder, decoder) which lengths it takes; a part that takes no series has no entry.

    The spec is planned anew for other lengths. What does not depend on the length comes out the same: steps, their arguments and the
    shapes of their weights.
    """
    if _places(design.input) is None:
        return {}
    positions = bool(design.latent.code.places)          # else the decoder does not see the length
    found = {"model": _length(design, info, ("encoder", "latent", "decoder"), True),
             "encoder": _length(design, info, ("encoder", "latent"), positions)}
    if _places(design.latent.code) is not None:
        found["decoder"] = _length(design, info, ("decoder",), True)
    return found


def _length(design: Plan, info: DataInfo, halves: Sequence[str], together: bool) -> SeriesLength:
    """What these halves take, one after the other; `together` with the input the target becomes longer.

    Where a decoder undoes strides only lengths that are whole steps from the usual one give the same design.
    """
    usual, ours = _places(design.input), _entry(design, halves)
    assert usual is not None and _places(ours) is not None, "vectors have no length"
    fixed = SeriesLength(_places(ours) or 0, 2 if ours.axes else 1)
    for step in sorted({1, _stride(design)}):
        why = next((why for more in (step, usual // step * step + step)
                    if (why := _difference(design, _replanned(design, info, usual + more, together), halves))), "")
        if not why:
            break
    else:
        return replace(fixed, why=why)
    longer = _replanned(design, info, usual + step, together)
    assert not isinstance(longer, str), "this was planned before"
    for places in (*range((usual - 1) % step + 1, usual, step), usual):
        least = _replanned(design, info, places, together)
        if not isinstance(least, str) and not _difference(design, least, halves) and not (single := _single(least, longer, halves)):
            return replace(fixed, least=_places(_entry(least, halves)), step=(_places(_entry(longer, halves)) or 0) - fixed.usual)
    return replace(fixed, why=f"{single} leaves one place")


def _single(least: Plan, longer: Plan, halves: Sequence[str]) -> str:
    """The first node that leaves one place of several: torch takes an extent of one for a constant, unless it is that of an input."""
    known = {node.path: node for half in halves for node in _root(longer, half).walk()}
    for node in (node for half in halves for node in _root(least, half).walk() if not node.children):
        other = known.get(node.path)
        if other is not None and _places(node.output) == 1 and _places(other.output) not in (1, _places(_entry(longer, halves))):
            return f"{node.path} ({node.kind})"
    return ""


def _entry(design: Plan, halves: Sequence[str]) -> Value:
    """What goes into these halves."""
    return design.latent.code if halves == ("decoder",) else design.input


def _stride(design: Plan) -> int:
    """By how much the encoder's strides shrink a series together."""
    factor = 1
    for node in design.encoder.walk():
        if not node.children and node.window and len(node.window) == 1:
            factor *= max(1, round(node.window[0][1]))
    return factor


def _places(value: Value) -> int | None:
    """The length of a series or a waveform, None of what is neither."""
    return value.places[0] if len(value.places) == 1 else None


def lengthened(value: Value, places: int) -> Value:
    """The same type with so many places; what is no series stays as it is."""
    if isinstance(value, Vector) or len(value.places) != 1:
        return value
    return replace(value, size=(places,)) if isinstance(value, Grid) else replace(value, length=places)


def _replanned(design: Plan, info: DataInfo, places: int, together: bool) -> Plan | str:
    """The same spec for data of that length, or why there is no such model."""
    target = info.target
    if together and _places(target) == _places(info.value):
        target = lengthened(target, places)
    made = plan(design.spec, replace(info, value=lengthened(info.value, places), target=target), least=0)
    return made.plan or next(found.message for found in made.diagnostics if found.is_error)


def _difference(design: Plan, other: Plan | str, halves: Sequence[str]) -> str:
    """What makes the halves another program, in words; "" if nothing does."""
    if isinstance(other, str):
        return other
    for half in halves:
        ours, theirs = _root(design, half), _root(other, half)
        named = {node.path: node for node in ours.walk()}
        alike = dict(_traits(theirs))
        for path, traits in _traits(ours):
            if alike.get(path) != traits:
                return f"{path} ({named[path].kind}) is made for that number"
    if isinstance(design.latent.codes, Tokens) and design.latent.codes != other.latent.codes:
        return f"a code has {design.latent.codes.length:,} indices, one for each of its places"
    return ""


def _root(design: Plan, half: str) -> Node:
    return design.latent.node if half == "latent" else getattr(design, half)


def _traits(root: Node) -> Iterator[tuple[str, Any]]:
    """By path what makes a node's module what it is, in order of execution; of what stands aside, such as priors, nothing."""
    with torch.device("meta"):
        module = build_node(root, 0)
    tables: dict[str, list[Any]] = {}
    for name, held in module.named_buffers():          # also those that no checkpoint has
        owner, _, word = f"{root.path}.{name}".rpartition(".")
        tables.setdefault(owner, []).append((word, tuple(held.shape)))
    for node in _active(root):
        yield node.path, (node.kind, node.args, node.weights, node.output.kind, node.output.features, tables.get(node.path))


def _active(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        if not child.aside:
            yield from _active(child)
