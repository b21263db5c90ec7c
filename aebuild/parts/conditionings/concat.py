"""Conditions beside the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.conditioning import Conditioning, Join
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Concat(Conditioning):
    """Stands beside the network's input, at each place (Sohn et al., 2015).

    A vector is joined where it enters; a grid or series in front of the first layer, behind what adapts it to that. An image stands beside
    a grid as further channels, averaged or repeated to its size.
    """

    type: Literal["concat"] = "concat"
    example = ("condition: {label: {by: concat, into: [encoder, decoder]}}\n"
               "latent: {type: gaussian, dim: 3}")
    also = ("concatenate", "cat", "input", "cvae")
    at_input = True

    def plan_conditioning(self, value: Value, join: Join, site: Site) -> Node:
        """More features at the same places."""
        return self.node(value, value.with_features(value.features + join.features_at(value)), join, site)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The step that joins them."""
        from aebuild.modules.conditioning import Concatenated

        return Concatenated(node.reads[0], node.args["first"], node.args["last"], node.input.feature_axis,
                            shape=node.args.get("shape", ()))
