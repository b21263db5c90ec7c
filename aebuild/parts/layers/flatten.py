"""Anything to a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Flatten(Layer):
    """A grid or sequence as one long vector."""

    type: Literal["flatten"] = "flatten"
    keeps_lengths = True
    example = ("encoder: [conv: {width: 2, stride: 2}, flatten, linear: 8]\n"
               "decoder: [linear: 16]")

    def plan(self, value: Value, site: Site) -> Node:
        """Any type to vector."""
        return Node(site.path, "flatten", value, value.flat, self, window=None)

    def mirrored(self) -> Layer | None:
        """Nothing: the compiler unfolds where a grid is needed."""
        return None

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Flatten; of a sequence one that silences padding."""
        from aebuild.modules.shapes import flatten

        return flatten(node.input.series_length is not None)
