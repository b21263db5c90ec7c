"""Layer normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Layer(Norm):
    """Normalises the features of each sample, or of each position (Ba et al., 2016)."""

    type: Literal["layer"] = "layer"
    keeps_lengths = True
    example = "encoder: [linear: {width: 8, norm: {type: layer, eps: 0.001}}]"
    also = ("layer_norm", "ln", "layer_normalization")
    eps: float = knob(1e-5, "added to the variance", affects="gradient", gt=0)

    def plan(self, value: Value, site: Site) -> Node:
        """A scale and a shift per feature; on a grid over channels and places together."""
        return Node(site.path, "layer_norm", value, value, self, {"features": value.features, "kind": value.kind},
                    weights={"weight": (value.features,), "bias": (value.features,)})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's LayerNorm, or GroupNorm with one group on a grid."""
        from torch import nn

        if node.input.axes:
            return nn.GroupNorm(1, node.args["features"], eps=self.eps)
        return nn.LayerNorm(node.args["features"], eps=self.eps)
