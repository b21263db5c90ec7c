"""A fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node, Site
from aebuild.lang.norm_act import Dressed
from aebuild.lang.part import knob
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn


class Linear(Dressed):
    """A fully connected layer on a vector."""

    type: Literal["linear"] = "linear"
    example = "encoder: [linear: {width: 8, activation: tanh}]"
    also = ("dense", "fc", "mlp", "fully_connected", "feedforward", "affine")
    width: int = knob(..., "output features", examples=[64], affects="graph", ge=1)
    wants = ("vector",)

    def plan(self, value: Value, site: Site) -> Node:
        """vector(D) to vector(width)."""
        inputs = value.features
        weights: dict[str, tuple[int, ...]] = {"weight": (self.width, inputs)}
        if self.bias:
            weights["bias"] = (self.width,)
        leaf = Node(f"{site.path}.linear", "linear", value, Vector(self.width), self, {"bias": self.bias}, weights,
                    macs=inputs * self.width, init=self.gain, window=None)
        return self.dress([leaf], value, site)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Linear."""
        from torch import nn

        return nn.Linear(node.input.features, node.output.features, bias=node.args["bias"])
