"""Indices that are masked and filled in, many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.learned_prior import Shapes, linear, require_heads, require_places, told_above, transformer, transformer_macs
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn


class Masked(Prior):
    """Indices filled in where they are masked, many at a time (Chang et al., 2022: MaskGIT).

    A transformer that sees all places learns from codes of which as many are masked as the cosine of a random angle says. Draws begin
    with masks alone and take a few steps. In evaluation its term is a bound: nats at most of surprise at a code. At a lower level of a
    code in levels each place is told the code above.
    """

    type: Literal["masked"] = "masked"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 6, dim: 2, prior: {type: masked, width: 6, depth: 1, heads: 2, steps: 3, "
               "temperature: 2}}\n---\n"
               "encoder: {layer: conv, width: [4, 5], stride: 2}\n"
               "latent: [codebook: {codes: 4, dim: 2}, "
               "codebook: {codes: 4, dim: 2, groups: 2, from: encoder.0, prior: {type: masked, width: 4, depth: 1, heads: 2}}]")
    also = ("maskgit", "mask_git", "masked_transformer", "bidirectional", "muse")
    serves = ("tokens",)
    learning = "phase"
    width: int = knob(128, "features of the transformer", affects="graph", ge=1)
    depth: int = knob(4, "blocks of the transformer", affects="graph", ge=1, le=1000)
    heads: int = knob(4, "attention heads; divides the width", affects="graph", ge=1)
    steps: int = knob(8, "steps of a draw", affects="evaluation", ge=1)
    temperature: float = knob(4.5, "of the noise on how sure a draw is of an index; falls to 0 over its steps", affects="evaluation", ge=0)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """An embedding with one more for the mask, the transformer, and the logits."""
        assert isinstance(codes, Tokens), "it serves indices"
        require_places(self, codes, site)
        require_heads(self, self.width, self.heads, site)
        weights: Shapes = {"embed.weight": (codes.classes + 1, self.width), **linear("output", self.width, codes.classes),
                           **transformer("network", codes.length, self.width, self.depth)}
        macs = codes.length * self.width * codes.classes + transformer_macs(codes.length, self.width, self.depth)
        told = told_above(codes, self.width, site)
        return Contribution(node=Node(site.path, "masked prior", codes, codes, self, {"heads": self.heads} | told.args,
                                      weights | told.weights, macs=macs + told.macs, aside=True, reads=told.reads))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.above import CodeAbove
        from aebuild.modules.causal import CausalTransformer
        from aebuild.modules.prior_masked import MaskedPrior

        assert isinstance(node.output, Tokens), "it serves indices"
        network = CausalTransformer(node.output.length, self.width, self.depth, self.heads, causal=False)
        above = CodeAbove(**node.args["above"], length=node.output.length, width=self.width) if "above" in node.args else None
        return MaskedPrior(node.output.length, node.output.classes, self.width, network, steps=self.steps, temperature=self.temperature,
                           above=above)
