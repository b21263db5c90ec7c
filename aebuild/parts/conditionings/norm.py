"""Normalised features, scaled and shifted by the condition."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.conditioning import Conditioning, Join
from aebuild.lang.node import Node, Site
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn

GROUPS = 32        # at most, as in the paper


class Norm(Conditioning):
    """Normalises behind each hidden layer; the condition scales and shifts (Dhariwal and Nichol, 2021).

    A grid is normalised in groups of channels, as many as divide them up to 32; vectors and series over the features at each place
    (Peebles and Xie, 2022). Scale and shift begin at one and zero. An image scales and shifts each place of a grid by what it is there
    (SPADE: Park et al., 2019).
    """

    type: Literal["norm"] = "norm"
    example = ("condition: {label: {by: norm, into: [decoder]}}\n"
               "latent: {type: gaussian, dim: 3}")
    also = ("adaptive_norm", "adagn", "adaln", "adain", "conditional_norm", "adaptive_group_norm")

    def plan_conditioning(self, value: Value, join: Join, site: Site) -> Node:
        """A scale and a shift for each feature."""
        size, told = 2 * value.features, join.features_at(value)
        places = prod(value.places) if join.placed(value) else 1
        node = self.node(value, value, join, site, weights={"map.weight": (size, told), "map.bias": (size,)}, macs=size * told * places,
                         keeps=2 * elements(value))
        if value.axes:
            node.args["groups"] = largest_divisor(value.features, min(GROUPS, max(1, value.features // 2)))
        return node

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The step that normalises, scales and shifts."""
        from aebuild.modules.conditioning import AdaptiveNorm

        return AdaptiveNorm(node.reads[0], node.args["first"], node.args["last"], node.input.feature_axis, node.input.features,
                            node.args.get("groups", 1), shape=node.args.get("shape", ()))
