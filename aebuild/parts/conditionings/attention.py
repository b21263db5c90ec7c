"""Places that ask the condition."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.conditioning import Conditioning, Join
from aebuild.lang.diagnostics import Rule
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

HEADS = Rule("AE394", "heads that do not divide the features of a layer", """\
Cross-attention stands behind each hidden layer that has places, and splits its features among its heads, equally many each. So the number
of heads must divide the width of every such layer.

```yaml
data: digits
condition: {label: {by: {type: attention, heads: 4}}}
encoder: {layer: conv, width: [8, 6]}
latent: {type: gaussian, dim: 4}
```
```yaml
condition: {label: {by: {type: attention, heads: 2}}}
encoder: {layer: conv, width: [8, 6]}
latent: {type: gaussian, dim: 4}
```
""")


class Attention(Conditioning):
    """Each place behind a hidden layer asks tokens of the condition (Rombach et al., 2022).

    The condition is turned to a few tokens, since one alone would leave nothing to choose from. Acts where a layer gives a grid or a
    series. What is added begins at zero.
    """

    type: Literal["attention"] = "attention"
    example = ("condition: {label: {by: {type: attention, tokens: 3, heads: 2}}}\n"
               "encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: gaussian, dim: 3}\n"
               "train: {steps: 4, batch_size: 10}")
    also = ("cross_attention", "crossattention", "attend")
    tokens: int = knob(4, "tokens that the condition is turned to", affects="graph", ge=2)
    heads: int = knob(1, "attention heads; divides the features of each layer", affects="graph", ge=1)

    def fits(self, value: Value) -> bool:
        """Places must be there to ask."""
        return bool(value.places)

    def plan_conditioning(self, value: Value, join: Join, site: Site) -> Node:
        """Maps for questions, keys with values, and answers."""
        width, places, told = value.features, prod(value.places), self.tokens * 2 * value.features
        if width % self.heads:
            site.refuse(self, HEADS, f"{self.heads} heads do not divide the {width} features of a layer", "heads",
                        fix=f"heads: {largest_divisor(width, self.heads)}")
        weights = {"query.weight": (width, width), "query.bias": (width,), "tell.weight": (told, join.width), "tell.bias": (told,),
                   "out.weight": (width, width), "out.bias": (width,)}
        macs = 2 * places * width * width + told * join.width + 2 * places * self.tokens * width
        node = self.node(value, value, join, site, weights=weights, macs=macs)
        node.args.update(tokens=self.tokens, heads=self.heads)
        return node

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The step that asks and adds."""
        from aebuild.modules.conditioning import CrossAttention

        return CrossAttention(node.reads[0], node.args["first"], node.args["last"], node.input.feature_axis, node.input.features,
                              self.tokens, self.heads)
