"""Telling convolutions where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Coordinates(Layer):
    """Adds a channel for each axis of a grid, with the place from -1 to 1 (Liu et al., CoordConv, 2018).

    A mirrored decoder leaves it out. In front of a decoder's convolutions, behind `adapter: broadcast`, it makes the spatial broadcast
    decoder.
    """

    type: Literal["coordinates"] = "coordinates"
    example = "encoder: [coordinates, conv: {width: 4, stride: 2}]"
    also = ("coord_conv", "coordconv", "add_coords", "coords")
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S1..Sn) to grid(C + n; S1..Sn)."""
        return Node(site.path, "coordinates", value, value.with_features(value.features + value.axes), self)

    def mirrored(self) -> Layer | None:
        """Nothing."""
        return None

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A step without weights."""
        from aebuild.modules.channels import Coordinates as Module

        return Module()
