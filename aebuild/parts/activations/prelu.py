"""The prelu activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class PReLU(Activation):
    """x above zero, slope·x below, with a learned slope for each channel (He et al., 2015)."""

    type: Literal["prelu"] = "prelu"
    example = "encoder: [linear: {width: 8, activation: {type: prelu, negative_slope: 0.1}}]"
    also = ("parametric_relu",)
    negative_slope: float = knob(0.25, "slope below zero at the start", affects="graph", ge=0, le=1)
    gain = "relu"            # weights are drawn as in front of one
    keeps_positive = True

    def plan(self, value: Value, site: Site) -> Node:
        """A slope a channel."""
        return Node(site.path, "prelu", value, value, self, {"first": self.negative_slope}, weights={"weight": (value.features,)})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.bent import PReLU as Module

        return Module(node.input.features, node.input.feature_axis, self.negative_slope)
