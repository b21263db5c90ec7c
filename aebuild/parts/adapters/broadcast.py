"""Vectors to grids, the same at every place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from torch import nn


class Broadcast(Adapter):
    """Gives every place of a grid the same vector (Watters et al., spatial broadcast decoder, 2019).

    The grid is the decoder's seed, which is that of the data where every convolution has `stride: 1`. Put `coordinates` behind it.
    """

    type: Literal["broadcast"] = "broadcast"
    example = "decoder: {adapter: broadcast, steps: [coordinates, conv: {width: 4, stride: 1}]}"

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """Vector to a grid whose size is known."""
        return (value.kind, kind) == ("vector", "grid") and site.stage.size is not None

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """grid(D; seed)."""
        size = site.stage.size
        assert size is not None
        return Node(site.path, "broadcast", value, Grid(value.features, size), self, {"size": size}, window=None)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A view without a copy."""
        from aebuild.modules.channels import BroadcastTo

        return BroadcastTo(node.args["size"])
