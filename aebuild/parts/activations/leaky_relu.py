"""The leaky_relu activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class LeakyReLU(Activation):
    """x above zero, slope·x below (Maas et al., 2013)."""

    type: Literal["leaky_relu"] = "leaky_relu"
    example = "encoder: [linear: {width: 8, activation: {type: leaky_relu, negative_slope: 0.1}}]"
    also = ("lrelu",)
    negative_slope: float = knob(0.01, "slope below zero", affects="gradient", ge=0, le=1)
    gain = "leaky_relu"
    keeps_positive = True

    @property
    def slope(self) -> float:
        """The negative slope, for the initialisation."""
        return self.negative_slope

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The torch module."""
        from torch import nn

        return nn.LeakyReLU(self.negative_slope)
