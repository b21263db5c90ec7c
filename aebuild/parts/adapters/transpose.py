"""Sequences to one-dimensional grids and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Grid, Sequence, Value

if TYPE_CHECKING:
    from torch import nn


class Transpose(Adapter):
    """Features last to channels first, or back."""

    type: Literal["transpose"] = "transpose"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [conv: {width: 2, stride: 2}, lstm: 3]\n"
               "decoder: [lstm: 3]")
    standard = ("grid", "sequence")

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """A sequence to a grid of one axis, unless a larger grid is expected; and back."""
        size = site.stage.size
        return value.axes == 1 if (value.kind, kind) == ("grid", "sequence") else (
            (value.kind, kind) == ("sequence", "grid") and (size is None or len(size) == 1))

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """Keeps every value."""
        out: Value = Grid(value.features, value.places) if kind == "grid" else Sequence(value.places[0], value.features)
        return Node(site.path, "transpose", value, out, self)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A transposed view."""
        from aebuild.modules.shapes import Transpose as Module

        return Module()
