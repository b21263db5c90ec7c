"""A convolution in two steps: over places, then over channels."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.norm_act import Dressed, sequential
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size
from aebuild.lang.values import Value


class SeparableConv(Dressed):
    """A convolution of each channel alone, then a 1×1 one that mixes them (Chollet, 2017).

    Takes about kernel² times fewer multiplications than `conv`; in a decoder it enlarges the grid by its stride, as `conv` does.
    """

    type: Literal["separable_conv"] = "separable_conv"
    example = ("encoder: [conv: 4, separable_conv: {width: 6, kernel: 3, stride: 2, dilation: 1}]\n"
               "decoder: [separable_conv: {width: 4, kernel: 5}, separable_conv: {width: 4, stride: 2, upsample: nearest}]")
    also = ("separable", "depthwise", "depthwise_conv", "depthwise_separable", "separable_conv1d", "separable_conv2d")
    width: int = knob(..., "output channels", examples=[64], affects="graph", ge=1)
    kernel: Size = knob(3, "size of the window", affects="graph")
    stride: Size | None = knob(
        None, "step of the window: shrinks the grid in an encoder (default 1), enlarges it in a decoder (default: solved)", affects="graph")
    dilation: Size = knob(1, "distance between the window's taps", affects="graph")
    upsample: Literal["transpose", "nearest", "shuffle"] | None = knob(
        None, "how a decoder's convolution enlarges: transposed (default), nearest neighbours first, or channels to space", affects="graph")
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(width; S'), the places by the first convolution."""
        children, _ = site.chain(self._steps(value.features), value, site)
        return sequential(site.path, "separable_conv", value, children, self)

    def _steps(self, channels: int) -> list[Layer]:
        over_places = Layer.named("conv", width=channels, kernel=self.kernel, stride=self.stride, dilation=self.dilation,
                                  groups="depthwise", upsample=self.upsample, activation=None)
        over_channels = Layer.named("conv", width=self.width, kernel=1, stride=1, norm=self.norm, activation=self.activation)
        return [over_places.placed(self._origin), over_channels.placed(self._origin)]

    def resizes(self, rank: int) -> list[Resize]:
        """Those of both convolutions; the second keeps the size."""
        return [resize for step in self._steps(1) for resize in step.resizes(rank)]

    def mirrored(self) -> Layer:
        """The same."""
        return self.but(stride=1 if self.stride is None else self.stride)
