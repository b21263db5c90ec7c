"""A linear layer with a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.norm_act import sequential
from aebuild.lang.part import knob
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn


class Gated(Layer):
    """A linear map times a sigmoid gate on the same input (Dauphin et al., 2016)."""

    type: Literal["gated"] = "gated"
    width: int = knob(..., "output features", affects="graph", ge=1)
    wants = ("vector",)

    def plan(self, value: Value, site: Site) -> Node:
        """vector(D) to vector(width): one map to twice the width, then half of it gates the other half."""
        inputs, both = value.features, 2 * self.width
        linear = Node(f"{site.path}.linear", "linear", value, Vector(both), self, weights={"weight": (both, inputs), "bias": (both,)},
                      macs=inputs * both, init="sigmoid", window=None)
        gate = Node(f"{site.path}.gate", "gate", linear.output, Vector(self.width), self)
        return sequential(site.path, "gated", value, [linear, gate], self)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Linear, or its GLU."""
        from torch import nn

        if node.kind == "gate":
            return nn.GLU(dim=1)
        return nn.Linear(node.input.features, node.output.features)
