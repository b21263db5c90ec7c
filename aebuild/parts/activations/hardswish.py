"""The hardswish activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Hardswish(Activation):
    """x·clip(x/6 + 1/2, 0, 1), a silu of straight lines (Howard et al., 2019)."""

    type: Literal["hardswish"] = "hardswish"
    example = "encoder: [linear: {width: 8, activation: hardswish}]"
    also = ("hard_swish", "h_swish")
    gain = "relu"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.Hardswish()
