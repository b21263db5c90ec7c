"""The gelu activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class GELU(Activation):
    """x·Φ(x), the Gaussian error linear unit (Hendrycks and Gimpel, 2016)."""

    type: Literal["gelu"] = "gelu"
    example = "encoder: [linear: {width: 8, activation: gelu}]"
    gain = "relu"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.GELU()
