"""The softplus activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Softplus(Activation):
    """log(1 + exp x), a smooth rectifier, above 0."""

    type: Literal["softplus"] = "softplus"
    example = "encoder: [linear: {width: 8, activation: softplus}]"
    gain = "relu"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.Softplus()
