"""A residual that is wide inside and narrow outside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.norm_act import Dressed, sequential
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class InvertedResidual(Dressed):
    """Widens by a 1×1 map, convolves each channel alone, narrows without activation (Sandler et al., 2018).

    The shortcut stands where the type stays the same. With `squeeze` each channel is gated in between (Howard et al., 2019).
    """

    type: Literal["inverted_residual"] = "inverted_residual"
    example = ("encoder: [conv: 4, inverted_residual: {width: 4, kernel: 3, expand: 2, squeeze: 4, stride: 2}, inverted_residual: 4]\n"
               "decoder: [inverted_residual: {width: 4, kernel: 5}, inverted_residual: 4]")
    also = ("mbconv", "mobilenet", "mobilenet_v2", "inverted_bottleneck", "linear_bottleneck")
    width: int = knob(..., "output channels", examples=[64], affects="graph", ge=1)
    kernel: Size = knob(3, "size of the window", affects="graph")
    stride: Size | None = knob(
        None, "step of the window: shrinks the grid in an encoder (default 1), enlarges it in a decoder (default: solved)", affects="graph")
    expand: int = knob(6, "channels inside, as a multiple of those that come in", affects="graph", ge=1)
    squeeze: int | None = knob(None, "ratio of a squeeze_excitation behind the inner convolution (default: none)", affects="graph", ge=1)
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(width; S'), plus the input where that is the same type."""
        children, out = site.chain(self._steps(value.features), value, replace(site, final=False))
        if out != value:
            return sequential(site.path, "inverted_residual", value, children, self)
        order = [child.name for child in children]
        return Node(site.path, "inverted_residual", value, out, self, {"order": order}, children=children)

    def _steps(self, channels: int) -> list[Layer]:
        inside = channels * self.expand
        around = {"norm": self.norm, "activation": self.activation}
        gate = [] if self.squeeze is None else [Layer.named("squeeze_excitation", ratio=self.squeeze)]
        steps = [Layer.named("conv", width=inside, kernel=1, stride=1, **around),
                 Layer.named("conv", width=inside, kernel=self.kernel, stride=self.stride, groups="depthwise", **around), *gate,
                 Layer.named("conv", width=self.width, kernel=1, stride=1, norm=self.norm, activation=None)]
        return [step.placed(self._origin) for step in steps]

    def resizes(self, rank: int) -> list[Resize]:
        """Those of its convolutions; only the middle one changes the size."""
        return [resize for step in self._steps(1) for resize in step.resizes(rank)]

    def mirrored(self) -> Layer:
        """The same."""
        return self.but(stride=1 if self.stride is None else self.stride)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The steps and the sum."""
        from aebuild.modules.shapes import Residual

        return Residual({name: children[name] for name in node.args["order"]}, None, None)
