"""A long short-term memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.recurrent import Recurrent

if TYPE_CHECKING:
    from torch import nn


class LSTM(Recurrent):
    """A long short-term memory over a sequence (Hochreiter and Schmidhuber, 1997)."""

    type: Literal["lstm"] = "lstm"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [lstm: {width: 3, returns: sequence}, lstm: 3]\n"
               "decoder: [lstm: {width: 3, feed: previous, teacher_forcing: 0.5}]")
    gates = 4
    states = 2
    remembers = 18

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The LSTM of torch, or what runs it."""
        from aebuild.modules.recurrent import assemble

        return assemble(children, **node.args)
