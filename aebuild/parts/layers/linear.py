"""A fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.node import Node, Site
from aebuild.lang.norm_act import Weighted
from aebuild.lang.part import knob
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn

TWICE = Rule("AE802", "a weight that is normalised in two ways", """\
`columns: unit` holds the norm of each column of the weights at 1, `weights: weight_norm` learns the norm of each row, and `spectral_norm`
divides by the largest singular value. A weight can follow one of them.

```yaml
encoder: [linear: {width: 64, columns: unit, weights: spectral_norm}]
```
```yaml
encoder: [linear: {width: 64, weights: spectral_norm}]
```
""")


class Linear(Weighted):
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
        if self.columns != "free" and self.weights != "free":
            site.refuse(self, TWICE, f"columns of norm 1 and {self.weights} both say how the weight is written", "weights",
                        fix="remove weights")
        leaf = Node(f"{site.path}.linear", "linear", value, Vector(self.width), self, self.options, weights,
                    macs=inputs * self.width, init=self.gain, window=None)
        return self.dress([self.written(leaf)], value, site)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's Linear, or one with columns of norm 1 or a normalised weight."""
        from torch import nn

        if "weights" in node.args:
            from aebuild.modules.normalised_weight import normalised

            return normalised(node.args["weights"], (node.output.features, node.input.features), bias=node.args["bias"])

        if node.args.get("columns") == "unit":
            from aebuild.modules.dictionary import UnitLinear

            return UnitLinear(node.input.features, node.output.features, bias=node.args["bias"])
        return nn.Linear(node.input.features, node.output.features, bias=node.args["bias"])
