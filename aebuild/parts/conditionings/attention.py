"""Places that ask the condition."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.conditioning import Conditioning, Join
from aebuild.lang.diagnostics import Rule
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.values import Value, elements

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


OWN_TOKENS = Rule("AE865", "a number of tokens of a condition that has its own", """\
Under `by: attention` a label or a number is turned to so many `tokens`, of which each place asks. An image has places, and each of them
is a token. To have fewer, let the condition go through an `encoder` whose layers stride.

```yaml
data: {type: photos, patch: 8}
condition: {gray: {by: {type: attention, tokens: 4}}}
encoder: {layer: conv, width: 4}
latent: {type: gaussian, dim: 4}
```
```yaml
condition: {gray: {by: attention, encoder: [conv: {width: 4, stride: 2}]}}
```
""")


class Attention(Conditioning):
    """Each place behind a hidden layer asks tokens of the condition (Rombach et al., 2022).

    The condition is turned to a few tokens, since one alone would leave nothing to choose from; of an image each place is one.
    Acts where a layer gives a grid or a series. What is added begins at zero.
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
        seen = join.value if join.value is not None and join.value.axes else None        # whose places are the tokens
        tokens = self.tokens if seen is None else prod(seen.places)
        told, known = (tokens * 2 * value.features, join.width) if seen is None else (2 * value.features, seen.features)
        width, places = value.features, prod(value.places)
        if seen is not None and "tokens" in self._origin.fields:
            site.refuse(self, OWN_TOKENS, f"{join.name} has {tokens:,} places, which are its tokens", "tokens", fix="remove tokens")
        if width % self.heads:
            site.refuse(self, HEADS, f"{self.heads} heads do not divide the {width} features of a layer", "heads",
                        fix=f"heads: {largest_divisor(width, self.heads)}")
        weights = {"query.weight": (width, width), "query.bias": (width,), "tell.weight": (told, known), "tell.bias": (told,),
                   "out.weight": (width, width), "out.bias": (width,)} | ({} if seen is None else {"place": (tokens, 2 * width)})
        macs = 2 * places * width * width + told * known * (1 if seen is None else tokens) + 2 * places * tokens * width
        node = self.node(value, value, join, site, weights=weights, macs=macs,
                         keeps=3 * elements(value) + 3 * self.heads * places * tokens)
        node.args.update(tokens=tokens, heads=self.heads, shape=[] if seen is None else list(seen.shape))
        return node

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The step that asks and adds."""
        from aebuild.modules.conditioning import CrossAttention

        return CrossAttention(node.reads[0], node.args["first"], node.args["last"], node.input.feature_axis, node.input.features,
                              node.args["tokens"], self.heads, shape=node.args["shape"])
