"""Attention on grids."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.attending import HEADS, attention_keeps, nearest_divisor
from aebuild.lang.families import Layer, Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.projection import PLAIN
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

GROUPS = 32          # as latent diffusion has them (Rombach et al., 2022)


class Attention(Layer):
    """Each place of a grid attends to all others and adds what it finds, as in the encoders of latent diffusion (Rombach et al., 2022).

    Group normalisation stands in front; the grid stays as it is. Its cost grows with the square of the places, so it usually stands
    where the grid is smallest. For attention along a sequence there is `transformer`. In a decoder it stands behind a convolution: in
    front of all it would attend to the code's few features.
    """

    type: Literal["attention"] = "attention"
    example = ("encoder: [conv: {width: 4, stride: 2}, attention: {heads: 2, groups: 2}]\n"
               "decoder: {layer: conv, width: 4, depth: 2}")
    also = ("attn", "attnblock", "attention_block", "self_attention_2d", "selfattention2d", "non_local", "nonlocal")
    scalar = "heads"
    heads: int = knob(1, "attention heads; divides the channels", affects="graph", ge=1)
    groups: int | None = knob(None, "groups of the normalisation; divides the channels; by default their largest divisor up to 32 "
                              "that leaves two to a group",
                              affects="graph", ge=1)
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to the same: P² products of C for the scores, as many for the sum, of P places."""
        if value.features % self.heads:
            site.refuse(self, HEADS, f"{self.heads} heads do not divide {value.features} channels", "heads",
                        fix=f"heads: {nearest_divisor(value.features, self.heads)}")
        groups = self.groups or largest_divisor(value.features, max(1, min(GROUPS, value.features // 2)))
        group = Norm.named("group", groups=groups).placed(self._origin)
        children = (group.plan(value, site.at("norm")), PLAIN.plan(f"{site.path}.qkv", value, 3 * value.features),
                    PLAIN.plan(f"{site.path}.out", value, value.features))
        return Node(site.path, "attention", value, value, self, {"heads": self.heads}, children=children, window=None,
                    macs=2 * prod(value.places) ** 2 * value.features, keeps=attention_keeps(value, prod(value.places), self.heads))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The block."""
        from aebuild.modules.grid_attention import GridAttention

        return GridAttention(children["norm"], children["qkv"], children["out"], self.heads)
