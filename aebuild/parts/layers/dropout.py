"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class Dropout(Layer):
    """Sets a share of the values to zero while training (Srivastava et al., 2014)."""

    type: Literal["dropout"] = "dropout"
    keeps_lengths = True
    example = "encoder: [linear: 8, dropout: 0.3]"
    also = ("dropout2d",)
    rate: float = knob(0.5, "share of values set to zero", affects="gradient", gt=0, lt=1)
    follower = True

    def plan(self, value: Value, site: Site) -> Node:
        """Keeps the type."""
        return Node(site.path, "dropout", value, value, self, keeps=elements(value))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A dropout that draws from its own path's random numbers."""
        from aebuild.modules.dropout import Dropout as Module

        return Module(self.rate)
