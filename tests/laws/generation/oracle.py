"""A second opinion on types: what a list of encoder steps makes of a value, from the definitions alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

from aebuild.lang.values import Grid, Sequence, Value, Vector

Step = dict[str, Any]
RECURRENT = ("rnn", "lstm", "gru")
FOLLOWERS = ("norm", "activation", "dropout")
PLACE_KEEPERS = ("squeeze_excitation", "coordinates")


class Impossible(Exception):
    """The steps do not fit this value."""


@dataclass(frozen=True)
class Walk:
    """The value after some steps, the grid it last was, and what stands at the stage's end."""

    value: Value
    size: tuple[int, ...] | None = None
    positions: bool = False             # the latent wants a code at each position

    def at(self, value: Value) -> Walk:
        return replace(self, value=value, size=value.places if isinstance(value, Grid) else self.size)

    def flat(self) -> Walk:
        return self if isinstance(self.value, Vector) else replace(self, value=Vector(prod(self.value.shape)))

    def grid(self) -> Walk:
        """As a grid: a sequence is one of the size it was read from, else of one axis."""
        value = self.value
        if isinstance(value, Vector):
            raise Impossible
        if isinstance(value, Grid):
            return self
        fits = self.size is not None and prod(self.size) == value.length
        if not fits and self.size is not None and len(self.size) > 1:
            raise Impossible
        return replace(self, value=Grid(value.size, self.size if fits and self.size else (value.length,)))

    def sequence(self) -> Walk:
        value = self.value
        if isinstance(value, Vector):
            raise Impossible
        if isinstance(value, Sequence):
            return self
        size = value.size if len(value.size) > 1 else self.size
        return Walk(Sequence(prod(value.size), value.channels), size, self.positions)


def after(steps: list[Step], walk: Walk, *, final: bool = True) -> Walk:
    """The value behind all steps; `final` says that the stage ends with them."""
    for i, step in enumerate(steps):
        walk = behind(step, walk, final and i == len(steps) - 1)
    return walk


def behind(step: Step, walk: Walk, final: bool) -> Walk:
    """The value behind one step."""
    kind = step["type"]
    if kind in FOLLOWERS:
        _check_norm(step, walk.value)
        return walk
    if kind == "linear":
        return _normed(step, replace(walk.flat(), value=Vector(step["width"])))
    if kind == "flatten":
        return walk.flat()
    if kind == "fourier_features":
        return walk.at(walk.value.with_features(step["width"]))
    if kind == "unflatten":
        return _unflatten(step, walk.flat())
    if kind in RECURRENT or kind == "transformer":
        return _over_sequence(step, walk.sequence(), final)
    if kind == "residual":
        return _residual(step, walk)
    if kind == "repeat":
        for i in range(step["times"]):
            walk = after(step["steps"], walk, final=final and i == step["times"] - 1)
        return walk
    grid = walk.grid()
    assert isinstance(grid.value, Grid)
    return _normed(step, grid.at(_on_grid(step, grid.value)))


def spread(value: Any, rank: int) -> list[int]:
    if isinstance(value, list) and len(value) != rank:
        raise Impossible
    return list(value) if isinstance(value, list) else [value] * rank


def _on_grid(step: Step, value: Grid) -> Grid:
    rank, kind = len(value.size), step["type"]
    if kind == "pool":
        size = [s // b for s, b in zip(value.size, spread(step.get("size", 2), rank), strict=True)]
        return _grid(value.channels, size)
    if kind == "blur_pool":
        return Grid(value.channels, tuple(-(-s // f) for s, f in zip(value.size, spread(step["size"], rank), strict=True)))
    if kind in PLACE_KEEPERS:
        return Grid(value.channels + (rank if kind == "coordinates" else 0), value.size)
    if kind == "convnext":
        return _grid(step["width"], [s // f for s, f in zip(value.size, spread(step.get("stride", 1), rank), strict=True)])
    if kind == "upsample":
        return _grid(value.channels, [s * f for s, f in zip(value.size, spread(step.get("scale", 2), rank), strict=True)])
    kernel, dilation = spread(step.get("kernel", 3), rank), spread(step.get("dilation", 1), rank)
    if kind == "conv_transpose":
        stride, extra = spread(step.get("stride", 2), rank), spread(step.get("output_padding", 0), rank)
        margin = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        padding = spread(step["padding"], rank) if "padding" in step else margin
        if any(e >= max(f, d) for e, f, d in zip(extra, stride, dilation, strict=True)):
            raise Impossible
        return _grid(step["width"], [(s - 1) * f - 2 * p + d * (k - 1) + 1 + e for s, k, f, d, p, e in
                                     zip(value.size, kernel, stride, dilation, padding, extra, strict=True)])
    groups = step.get("groups", 1)
    if value.channels % groups or step["width"] % groups:
        raise Impossible
    margin = [(k - 1) // 2 * d for k, d in zip(kernel, dilation, strict=True)]
    padding = spread(step["padding"], rank) if "padding" in step else margin
    return _grid(step["width"], [(s + 2 * p - d * (k - 1) - 1) // f + 1 for s, k, f, d, p in
                                 zip(value.size, kernel, spread(step.get("stride", 1), rank), dilation, padding, strict=True)])


def _grid(channels: int, size: list[int]) -> Grid:
    if min(size) < 1:
        raise Impossible
    return Grid(channels, tuple(size))


def _unflatten(step: Step, walk: Walk) -> Walk:
    places = prod(step["size"])
    features = prod(walk.value.shape) // places
    if features * places != prod(walk.value.shape):
        raise Impossible
    value: Value = Sequence(places, features) if step.get("to") == "sequence" else Grid(features, tuple(step["size"]))
    return replace(walk, value=value, size=value.places)


def _over_sequence(step: Step, walk: Walk, final: bool) -> Walk:
    assert isinstance(walk.value, Sequence)
    features = step["width"] * (2 if step.get("bidirectional") else 1)
    default = "vector" if final and not walk.positions else "sequence"
    returns = step.get("returns", default)
    return replace(walk, value=Sequence(walk.value.length, features) if returns == "sequence" else Vector(features))


def _residual(step: Step, walk: Walk) -> Walk:
    first = step["steps"][0]["type"]
    if first == "linear" or first == "unflatten":
        walk = walk.flat()
    elif first in RECURRENT or first == "transformer":
        walk = walk.sequence()
    elif first not in (*FOLLOWERS, "flatten", "residual", "repeat"):
        walk = walk.grid()
    out = after(step["steps"], walk, final=False)
    if out.value.kind != walk.value.kind or isinstance(out.value, Sequence) and out.value.places != walk.value.places:
        raise Impossible
    if isinstance(out.value, Grid) and len(out.value.size) != len(walk.value.places):
        raise Impossible
    return out


def _normed(step: Step, walk: Walk) -> Walk:
    if "norm" in step:
        _check_norm({"type": "norm", "norm": step["norm"]}, walk.value)
    return walk


def _check_norm(step: Step, value: Value) -> None:
    """A norm over a single number would erase it."""
    if step["type"] != "norm":
        return
    norm = step["norm"] if isinstance(step["norm"], dict) else {"type": step["norm"]}
    places = prod(value.places) if isinstance(value, Grid) else 1
    if norm["type"] == "layer" and value.features * places < 2 or norm["type"] == "rms" and value.features < 2:
        raise Impossible
    if norm["type"] == "group":
        groups = norm.get("groups", 8)
        if isinstance(value, Sequence) or value.features % groups or value.features // groups * places < 2:
            raise Impossible
