"""The snake activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class Snake(Activation):
    """x + sin²(αx)/α with a learned α for each channel (Ziyin et al., 2020).

    It can go on with what repeats itself; usual in codecs of sound since BigVGAN (Lee et al., 2022).
    """

    type: Literal["snake"] = "snake"
    example = "encoder: [linear: {width: 8, activation: {type: snake, alpha: 0.7}}]"
    also = ("snake1d", "snakebeta", "snake_beta")
    remembers = 4
    alpha: float = knob(1.0, "frequency of the wave at the start", affects="graph", gt=0)

    def plan(self, value: Value, site: Site) -> Node:
        """A frequency a channel."""
        return Node(site.path, "snake", value, value, self, {"first": self.alpha}, weights={"log_alpha": (value.features,)},
                    keeps=self.remembers * elements(value))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.bent import Snake as Module

        return Module(node.input.features, node.input.feature_axis, self.alpha)
