"""A gated recurrent unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.recurrent import Recurrent

if TYPE_CHECKING:
    from torch import nn


class GRU(Recurrent):
    """A gated recurrent unit over a sequence (Cho et al., 2014)."""

    type: Literal["gru"] = "gru"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [gru: {width: 3, returns: mean}]\n"
               "decoder: [gru: {width: 3, feed: previous, teacher_forcing: 0.3}]")
    gates = 3
    remembers = 7

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The GRU of torch, or what runs it."""
        from aebuild.modules.recurrent import assemble

        return assemble(children, **node.args)
