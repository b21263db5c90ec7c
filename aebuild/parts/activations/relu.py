"""The relu activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class ReLU(Activation):
    """max(0, x) (Nair and Hinton, 2010)."""

    type: Literal["relu"] = "relu"
    example = "encoder: [linear: {width: 8, activation: relu}]"
    gain = "relu"
    remembers = 0
    keeps_positive = True

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.ReLU()
