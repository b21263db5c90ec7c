"""Grids and sequences to vectors, by averaging over places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn


class Mean(Adapter):
    """Averages over all places, also called global average pooling (Lin et al., 2013)."""

    type: Literal["mean"] = "mean"
    keeps_lengths = True
    example = ("encoder: {layer: conv, width: 4, adapter: mean}\n"
               "decoder: [linear: 16]")

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """Grid or sequence to vector."""
        return (value.kind, kind) in (("grid", "vector"), ("sequence", "vector"))

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """One value a feature."""
        axis = value.feature_axis % (1 + len(value.shape))
        return Node(site.path, "mean", value, Vector(value.features), self, {"features": axis}, window=None)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The mean over places."""
        from aebuild.modules.shapes import Mean as Module

        return Module(node.args["features"])
