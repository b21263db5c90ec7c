"""Each place of a code from those before it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.learned_prior import (
    IDLE,
    LearnedPrior,
    Shapes,
    gru,
    linear,
    require_heads,
    require_places,
    told_above,
    transformer,
    transformer_macs,
)
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn


class Autoregressive(LearnedPrior):
    """Each place of the code from those before it, by a causal network (van den Oord et al., 2017).

    Of a codebook's indices it gives probabilities, of real vectors a Gaussian each (as in Chung et al., 2015). Places are gone through
    row by row; several indices at a place one after the other. At a lower level of a code in levels each place is told the code above.
    """

    type: Literal["autoregressive"] = "autoregressive"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 6, dim: 2, prior: {type: autoregressive, width: 6, depth: 2, heads: 2, temperature: 0.05, "
               "top_k: 3}}\n---\n"
               "encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: gaussian, dim: 2, per: position, prior: {type: autoregressive, network: gru, width: 5, depth: 1}}\n---\n"
               "encoder: {layer: conv, width: [4, 5], stride: 2}\n"
               "latent: [codebook: {codes: 4, dim: 2}, "
               "codebook: {codes: 4, dim: 2, from: encoder.0, prior: {type: autoregressive, width: 4, depth: 1, heads: 2}}]")
    also = ("gpt", "causal_transformer", "causal", "ar", "pixelsnail", "vrnn", "rnn_prior", "transformer_prior")
    serves = ("code", "tokens")
    otherwise = ("phase",)
    network: Literal["transformer", "gru"] = knob("transformer", "what remembers the places before", affects="graph")
    width: int = knob(128, "features of the network", affects="graph", ge=1)
    depth: int = knob(4, "layers of the network", affects="graph", ge=1, le=1000)
    heads: int = knob(4, "attention heads of a transformer; divides the width", affects="graph", ge=1)
    temperature: float = knob(1.0, "of draws: logits are divided by it, deviations of real codes multiplied", affects="evaluation", gt=0)
    top_k: int | None = knob(None, "draws are among so many of the most probable indices; of all if absent", affects="evaluation", ge=1)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The network, what leads into it, and what comes out for the next place."""
        require_places(self, codes, site)
        discrete = isinstance(codes, Tokens)
        for name, idle in (("top_k", not discrete), ("heads", self.network == "gru")):
            if idle and name in self._origin.fields and getattr(self, name) is not None:
                what = f"a {self.network} has no heads" if name == "heads" else "the code is made of real numbers"
                site.refuse(self, IDLE, f"`{name}` means nothing here: {what}", name, fix=f"remove {name}")
        width, length = self.width, _length(codes)
        weights: Shapes = {"start": (width,)}
        if isinstance(codes, Tokens):
            weights |= {"embed.weight": (codes.classes, width), **linear("output", width, codes.classes)}
        else:
            weights |= linear("embed", codes.features, width) | linear("output", width, 2 * codes.features)
        macs = length * (width * weights["output.weight"][0] + (0 if discrete else width * codes.features))
        if self.network == "gru":
            weights |= gru("network", width, self.depth)
            macs += length * self.depth * 6 * width * width
        else:
            require_heads(self, width, self.heads, site)
            weights |= transformer("network", length, width, self.depth)
            macs += transformer_macs(length, width, self.depth)
        told = told_above(codes, width, site)
        args = ({} if self.network == "gru" else {"heads": self.heads}) | told.args
        return Contribution(node=Node(site.path, "autoregressive prior", codes, codes, self, args, weights | told.weights,
                                      macs=macs + told.macs, aside=True, reads=told.reads))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.above import CodeAbove
        from aebuild.modules.causal import CausalGru, CausalTransformer
        from aebuild.modules.prior_autoregressive import AutoregressiveCodes, AutoregressiveTokens

        codes = node.output
        network = CausalGru(self.width, self.depth) if self.network == "gru" else CausalTransformer(
            _length(codes), self.width, self.depth, self.heads)
        above = CodeAbove(**node.args["above"], length=_length(codes), width=self.width) if "above" in node.args else None
        if isinstance(codes, Tokens):
            return AutoregressiveTokens(codes.length, codes.classes, self.width, network, temperature=self.temperature, top_k=self.top_k,
                                        above=above)
        return AutoregressiveCodes(codes.shape, codes.feature_axis, self.width, network, temperature=self.temperature, above=above)


def _length(codes: Value) -> int:
    return codes.length if isinstance(codes, Tokens) else prod(codes.places)
