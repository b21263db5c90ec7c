"""The tanh activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Tanh(Activation):
    """The hyperbolic tangent, in (-1, 1)."""

    type: Literal["tanh"] = "tanh"
    example = "encoder: [linear: {width: 8, activation: tanh}]"
    gain = "tanh"
    remembers = 0

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.Tanh()
