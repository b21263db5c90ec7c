"""A gate for each channel of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn


class SqueezeExcitation(Layer):
    """Gates each channel by a small network on the means of all channels (Hu et al., 2018).

    In a mirrored decoder it stays behind the layer that it stands behind.
    """

    type: Literal["squeeze_excitation"] = "squeeze_excitation"
    example = "encoder: [conv: {width: 8, stride: 2}, squeeze_excitation: {ratio: 4}]"
    also = ("se", "se_block", "squeeze_and_excitation", "channel_attention")
    follower = True
    ratio: int = knob(16, "how many times fewer hidden features than channels there are, at least one", affects="graph", ge=1)
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """Keeps the type; two linear maps with bias, a rectifier between them and a sigmoid behind."""
        channels = Vector(value.features)
        hidden = Vector(max(1, value.features // self.ratio))
        children = (self._linear(f"{site.path}.squeeze", channels, hidden, "relu"),
                    self._linear(f"{site.path}.excite", hidden, channels, "sigmoid"))
        return Node(site.path, "squeeze_excitation", value, value, self, children=children, window=None, keeps=elements(value))

    def _linear(self, path: str, value: Vector, out: Vector, init: str) -> Node:
        return Node(path, "linear", value, out, self, {}, {"weight": (out.size, value.size), "bias": (out.size,)},
                    macs=out.size * value.size, init=init, window=None)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The gate, or one of its maps."""
        from torch import nn

        from aebuild.modules.channels import SqueezeExcitation as Module

        if node.kind == "linear":
            return nn.Linear(node.input.features, node.output.features)
        return Module(children["squeeze"], children["excite"])
