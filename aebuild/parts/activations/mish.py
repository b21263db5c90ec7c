"""The mish activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Mish(Activation):
    """x·tanh(softplus x), a smooth rectifier (Misra, 2019)."""

    type: Literal["mish"] = "mish"
    example = "encoder: [linear: {width: 8, activation: mish}]"
    gain = "relu"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.Mish()
