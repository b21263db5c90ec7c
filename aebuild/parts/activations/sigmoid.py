"""The sigmoid activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Sigmoid(Activation):
    """The logistic function, in (0, 1)."""

    type: Literal["sigmoid"] = "sigmoid"
    example = "encoder: [linear: {width: 8, activation: sigmoid}]"
    gain = "sigmoid"
    remembers = 0

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.Sigmoid()
