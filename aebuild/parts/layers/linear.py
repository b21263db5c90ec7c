"""A fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

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
    columns: Literal["free", "unit"] = knob(
        "free", "norms of the weights' columns, of which each input has one: free, or all 1, as in dictionaries", affects="graph")
    wants = ("vector",)

    @property
    def options(self) -> dict[str, Any]:
        """What its node tells of it."""
        return {"bias": self.bias} | ({"columns": self.columns} if self.columns != "free" else {})

    def plan(self, value: Value, site: Site) -> Node:
        """vector(D) to vector(width)."""
        inputs = value.features
        weights: dict[str, tuple[int, ...]] = {"weight": (self.width, inputs)}
        if self.bias:
            weights["bias"] = (self.width,)
        leaf = Node(f"{site.path}.linear", "linear", value, Vector(self.width), self, self.options, weights,
                    macs=inputs * self.width, init=self.gain, window=None)
        return self.dress([leaf], value, site)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Linear, or one with columns of norm 1."""
        from torch import nn

        if node.args.get("columns") == "unit":
            from aebuild.modules.dictionary import UnitLinear

            return UnitLinear(node.input.features, node.output.features, bias=node.args["bias"])
        return nn.Linear(node.input.features, node.output.features, bias=node.args["bias"])
