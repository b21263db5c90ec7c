"""Grids and sequences to vectors, keeping every value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Flatten(Adapter):
    """Lays a grid or sequence out as one long vector."""

    type: Literal["flatten"] = "flatten"
    keeps_lengths = True
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "decoder: [linear: 16]")
    standard = ("vector",)

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """Grid or sequence to vector."""
        return (value.kind, kind) in (("grid", "vector"), ("sequence", "vector"))

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """Keeps every value."""
        return Node(site.path, "flatten", value, value.flat, self, window=None)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Flatten; of a sequence one that silences padding."""
        from aebuild.modules.shapes import flatten

        return flatten(node.input.series_length is not None)
