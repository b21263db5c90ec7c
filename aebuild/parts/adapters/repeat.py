"""Vectors to sequences, the same at every position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.sequence_length import length_for
from aebuild.lang.values import Sequence, Value

if TYPE_CHECKING:
    from torch import nn


class Repeat(Adapter):
    """Gives every position of a sequence the same vector."""

    type: Literal["repeat"] = "repeat"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [lstm: 3]\n"
               "decoder: [lstm: {width: 3, feed: repeat}]")
    standard = ("sequence",)

    def fits(self, value: Value, kind: str, site: Site) -> bool:
        """Vector to sequence."""
        return (value.kind, kind) == ("vector", "sequence")

    def plan(self, value: Value, kind: str, site: Site, layer: Layer | None) -> Node:
        """As long as the decoder's seed, or as the data."""
        length = length_for(layer, value, site)
        site.stage.repeated = True
        return Node(site.path, "repeat", value, Sequence(length, value.features), self, {"length": length}, window=None)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A view without a copy."""
        from aebuild.modules.recurrent import RepeatAlong

        return RepeatAlong(node.args["length"])
