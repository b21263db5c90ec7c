"""A causal transformer as the end of a decoder."""

from __future__ import annotations

from math import gcd, prod
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.attending import attention_keeps
from aebuild.lang.autoregression import Autoregressive
from aebuild.lang.diagnostics import Hint, Rule
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

UNASKED = Rule("AE843", "a code that cannot be told to a causal transformer in this manner", """\
`told: first` puts one vector in front of the first value, `told: each` a vector beside each value: one for all, or the code's at the same
place. With `told: cross` each place asks the code by attention, which chooses among the code's places, so there must be several.

```yaml
data: sentences
encoder: {layer: gru, width: 64}
latent: {type: continuous, dim: 32}
decoder: {layer: causal_transformer, width: 64, told: cross}     # one vector: nothing to choose from
losses: {reconstruction: categorical}
```
```yaml
data: sentences
encoder: [transformer: 64, cross_attention: {width: 64, queries: 8}]
latent: {type: continuous, dim: 4, per: position}
decoder: {layer: causal_transformer, width: 64}                  # eight vectors: each place asks them
losses: {reconstruction: categorical}
```
""")


class CausalTransformer(Autoregressive):
    """Makes a text or a series place by place from its code by causal self-attention (as the text VAE of Bowman et al., 2016).

    Pre-norm blocks with learned positions (Radford et al., 2019). The code stands in front of the first value, or beside each, or each
    place asks it by attention, as the decoder of Vaswani et al., 2017, asks what was read: then it may have any number of places.
    """

    type: Literal["causal_transformer"] = "causal_transformer"
    example = ("data: {type: arrays, path: text.npy, as: tokens, shape: [6], vocabulary: 7, limit: 30}\n"
               "encoder: [gru: 4]\n"
               "decoder: {layer: causal_transformer, depth: 2, width: 4, heads: 2, input_dropout: 0.3}\n"
               "losses: {reconstruction: categorical}\n"
               "---\n"
               "data: {type: series, path: wave.csv, window: {length: 8, stride: 2}, missing: mask}\n"
               "encoder: [gru: 3]\n"
               "decoder: [causal_transformer: {width: 4, depth: 1, heads: 1, told: each}]\n"
               "losses: {reconstruction: {type: gaussian, variance: predicted}}\n"
               "---\n"
               "data: {type: arrays, path: text.npy, as: tokens, shape: [6], vocabulary: 7, limit: 30}\n"
               "encoder: [cross_attention: {width: 4, queries: 2}]\n"
               "latent: {type: continuous, dim: 2, per: position}\n"
               "decoder: [causal_transformer: {width: 4, depth: 2, heads: 2, told: cross}]\n"
               "losses: {reconstruction: categorical}")
    also = ("gpt", "transformer_decoder", "decoder_only", "autoregressive_transformer", "seq2seq", "encoder_decoder")
    ways = ("sequence", "tokens")
    first = False
    heads: int = knob(4, "attention heads; divides the width", affects="graph", ge=1)
    told: Literal["first", "each", "cross"] | None = knob(
        None, "where the code is told: in front of the first value (by default, where it is one vector), beside each (where it has as many "
        "places as the data), or to whom asks it, by attention of each place to all of the code's (where it has other places)",
        affects="graph")

    wants = ("vector", "sequence")

    def options(self, value: Value, target: Value) -> dict[str, Any]:
        """Its heads, and where it is told the code."""
        return {"heads": self.heads, "told": self.manner(value, target)}

    def manner(self, value: Value, target: Value) -> Literal["first", "each", "cross"]:
        """Where such a code is told."""
        return self.told or ("first" if not value.places else "each" if value.places == target.places else "cross")

    def check_places(self, value: Value, target: Value, site: Site) -> None:
        """Refuses a manner that is not for such a code."""
        manner = self.manner(value, target)
        wrong = {"first": "places" if value.places else "", "cross": "no places to choose from" if prod(value.places) < 2 else "",
                 "each": "" if value.places in ((), target.places) else "other places than the data"}[manner]
        if wrong:
            alone = value.places == (1,) != target.places
            site.refuse(self, UNASKED, f"told: {manner} is not for {value}, which has {wrong}", "told",
                        fix=Hint("`flatten` in front makes it one vector") if alone else "remove told")

    def hidden(self, target: Value) -> Value:
        """What comes out of the last block."""
        return Sequence(target.places[0], self.width)

    def plan_network(self, value: Value, target: Value, site: Site) -> tuple[Shapes, int]:
        """The blocks, the maps of the code and, of numbers, of the values."""
        if self.width % self.heads:
            site.refuse(self, HEADS, f"{self.heads} heads do not divide {self.width} features", "heads", "width",
                        fix=f"heads: {gcd(self.width, self.heads)}")
        length, width, asked = target.places[0], self.width, prod(value.places) if self.manner(value, target) == "cross" else 0
        weights = linear("told", value.features, width) | transformer("network", length, width, self.depth, cross_attention=asked > 0)
        macs = prod(value.places) * value.features * width + transformer_macs(length, width, self.depth, asked)
        if asked:
            weights["code_positions.weight"] = (asked, width)
        if not isinstance(target, Tokens):
            weights |= linear("enter", self.inputs(target, site), width)
            macs += (length - 1) * self.inputs(target, site) * width
        return weights, macs

    def kept_at_place(self, value: Value, target: Value) -> int:
        """Of each block what a transformer keeps."""
        length, inside = target.places[0], Sequence(target.places[0], self.width)
        kept = 13 * self.width + attention_keeps(inside, length, self.heads) // length
        if self.manner(value, target) == "cross":
            kept += 3 * self.width + attention_keeps(inside, prod(value.places), self.heads) // length
        return self.depth * kept

    def network(self, node: Node, entry: Entry) -> CausalNetwork:
        """The blocks and what goes in."""
        from aebuild.modules.causal import CausalTransformer as Blocks
        from aebuild.modules.causal_decoder import CausalDecoder
        from aebuild.modules.transformer import LearnedPositions

        told, asked = node.args["told"], prod(node.input.places)
        numbers = None if entry.embed is not None else node.args["inputs"]
        blocks = Blocks(node.output.places[0], self.width, self.depth, self.heads, cross_attention=told == "cross")
        positions = LearnedPositions(asked, self.width) if told == "cross" else None
        return CausalDecoder(entry, numbers, node.input.features, self.width, blocks, told, positions)
