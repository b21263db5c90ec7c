"""Images and volumes to sequences and back."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Grid, Sequence, Value

if TYPE_CHECKING:
    from torch import nn


class Raster(Adapter):
    """Reads a grid row by row as a sequence of places, or lays a sequence back."""

    type: Literal["raster"] = "raster"
    example = ("data: {type: digits, limit: 30}\n"
               "encoder: [conv: {width: 2, stride: 2}, lstm: 3]\n"
               "decoder: [linear: 16]")
    standard = ("grid", "sequence")

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """A grid of two or three axes to a sequence; and back where the size is known."""
        size = site.stage.size
        return value.axes > 1 if (value.kind, kind) == ("grid", "sequence") else (
            (value.kind, kind) == ("sequence", "grid") and size is not None and prod(size) == value.series_length)

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """Keeps every value."""
        if kind == "sequence":
            site.stage.size = value.places
            return Node(site.path, "raster", value, Sequence(prod(value.places), value.features), self)
        size = site.stage.size
        assert size is not None
        return Node(site.path, "unraster", value, Grid(value.features, size), self, {"size": size})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A reordered view."""
        from aebuild.modules.shapes import Raster as Module
        from aebuild.modules.shapes import Unraster

        return Unraster(node.args["size"]) if node.kind == "unraster" else Module()
