"""Features scaled and shifted by the condition."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.conditioning import Conditioning, Join
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Film(Conditioning):
    """Scales and shifts the features behind each hidden layer (Perez et al., 2018).

    Scale and shift are linear in the condition and begin at one and zero: the network begins as the one that is told nothing. An image
    scales and shifts each place of a grid by what it is there.
    """

    type: Literal["film"] = "film"
    example = ("condition: {label: film}\n"
               "latent: {type: gaussian, dim: 3}")
    also = ("feature_wise", "modulation", "affine", "scale_shift")

    def plan_conditioning(self, value: Value, join: Join, site: Site) -> Node:
        """A scale and a shift for each feature."""
        size, told = 2 * value.features, join.features_at(value)
        places = prod(value.places) if join.placed(value) else 1
        return self.node(value, value, join, site, weights={"map.weight": (size, told), "map.bias": (size,)}, macs=size * told * places)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The step that scales and shifts."""
        from aebuild.modules.conditioning import Film as FilmModule

        return FilmModule(node.reads[0], node.args["first"], node.args["last"], node.input.feature_axis, node.input.features,
                          shape=node.args.get("shape", ()))
