"""The elu activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class ELU(Activation):
    """x above zero, alpha·(exp x - 1) below (Clevert et al., 2015)."""

    type: Literal["elu"] = "elu"
    example = "encoder: [linear: {width: 8, activation: {type: elu, alpha: 0.7}}]"
    alpha: float = knob(1.0, "size of the saturated value below zero", affects="gradient", gt=0)
    gain = "relu"
    keeps_positive = True

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.ELU(self.alpha)
