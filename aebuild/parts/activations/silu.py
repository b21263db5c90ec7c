"""The silu activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class SiLU(Activation):
    """x·sigmoid(x), also called swish (Elfwing et al., 2017)."""

    type: Literal["silu"] = "silu"
    example = "encoder: [linear: {width: 8, activation: silu}]"
    also = ("swish",)
    gain = "relu"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.SiLU()
