"""A causal transformer as the end of a decoder."""

from __future__ import annotations

from math import gcd, prod
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.attending import attention_keeps
from aebuild.lang.autoregression import Autoregressive
from aebuild.lang.diagnostics import Rule
from aebuild.lang.learned_prior import linear, transformer, transformer_macs
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Sequence, Tokens, Value

if TYPE_CHECKING:
    from aebuild.modules.autoregression import CausalNetwork, Entry

Shapes = dict[str, tuple[int, ...]]

HEADS = Rule("AE836", "heads do not divide the width of a causal transformer", """\
Attention splits the features among its heads, equally many each, so the number of heads must divide the width.

```yaml
data: sentences
encoder: {layer: gru, width: 64}
decoder: {layer: causal_transformer, width: 100, heads: 8}
losses: {reconstruction: categorical}
```
```yaml
decoder: {layer: causal_transformer, width: 96, heads: 8}
```
""")


class CausalTransformer(Autoregressive):
    """Makes a text or a series place by place from its code by causal self-attention (as the text VAE of Bowman et al., 2016).

    Pre-norm blocks with learned positions (Radford et al., 2019). The code stands in front of the first value, or beside each; one
    with a vector for each place stands beside each.
    """

    type: Literal["causal_transformer"] = "causal_transformer"
    example = ("data: {type: arrays, path: text.npy, as: tokens, shape: [6], vocabulary: 7, limit: 30}\n"
               "encoder: [gru: 4]\n"
               "decoder: {layer: causal_transformer, depth: 2, width: 4, heads: 2, input_dropout: 0.3}\n"
               "losses: {reconstruction: categorical}\n"
               "---\n"
               "data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [gru: 3]\n"
               "decoder: [causal_transformer: {width: 4, depth: 1, heads: 1, told: each}]\n"
               "losses: {reconstruction: {type: gaussian, variance: predicted}}")
    also = ("gpt", "transformer_decoder", "decoder_only", "autoregressive_transformer")
    ways = ("sequence", "tokens")
    first = False
    heads: int = knob(4, "attention heads; divides the width", affects="graph", ge=1)
    told: Literal["first", "each"] = knob(
        "first", "where one code for the whole sample is told: in front of the first value, or beside each", affects="graph")

    wants = ("vector", "sequence")

    @property
    def options(self) -> dict[str, Any]:
        """Its heads, and where it is told the code."""
        return {"heads": self.heads, "told": self.told}

    def hidden(self, target: Value) -> Value:
        """What comes out of the last block."""
        return Sequence(target.places[0], self.width)

    def plan_network(self, value: Value, target: Value, site: Site) -> tuple[Shapes, int]:
        """The blocks, the maps of the code and, of numbers, of the values."""
        if self.width % self.heads:
            site.refuse(self, HEADS, f"{self.heads} heads do not divide {self.width} features", "heads", "width",
                        fix=f"heads: {gcd(self.width, self.heads)}")
        length, width = target.places[0], self.width
        weights = linear("told", value.features, width) | transformer("network", length, width, self.depth)
        macs = prod(value.places) * value.features * width + transformer_macs(length, width, self.depth)
        if not isinstance(target, Tokens):
            weights |= linear("enter", target.features, width)
            macs += (length - 1) * target.features * width
        return weights, macs

    def kept_at_place(self, target: Value) -> int:
        """Of each block what a transformer keeps."""
        length = target.places[0]
        return self.depth * (13 * self.width + attention_keeps(Sequence(length, self.width), length, self.heads) // length)

    def network(self, node: Node, entry: Entry) -> CausalNetwork:
        """The blocks and what goes in."""
        from aebuild.modules.causal import CausalTransformer as Blocks
        from aebuild.modules.causal_decoder import CausalDecoder

        places = bool(node.input.places)
        numbers = None if entry.embed is not None else node.args["inputs"]
        blocks = Blocks(node.output.places[0], self.width, self.depth, self.heads)
        return CausalDecoder(entry, numbers, node.input.features, self.width, blocks, "each" if places else self.told)
