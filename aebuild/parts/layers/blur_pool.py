"""Shrinking a grid without aliasing."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size, per_axis, spread
from aebuild.lang.values import Grid, Value, elements

if TYPE_CHECKING:
    from torch import nn


class BlurPool(Layer):
    """Every second place of a smoothed grid, which shifts of the input change little (Zhang, 2019).

    Behind a `conv` of stride 1 it takes the place of a stride. The filter is binomial and learns nothing; a mirrored decoder enlarges
    linearly.
    """

    type: Literal["blur_pool"] = "blur_pool"
    example = ("encoder: [conv: 4, blur_pool: {size: 2, kernel: 3}]\n"
               "decoder: [linear: 16]")
    also = ("blur", "antialias", "anti_alias", "antialiased_pool", "blurpool")
    size: Size = knob(2, "how many places become one along each axis", affects="graph")
    kernel: Size = knob(4, "size of the filter", affects="graph")
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(C; S/size), rounded up."""
        rank = len(value.places)
        stride, kernel = per_axis(self, "size", rank, site), per_axis(self, "kernel", rank, site)
        size = tuple(-(-s // f) for s, f in zip(value.places, stride, strict=True))
        if site.stage.up:
            site.next_resize()
        window = tuple((k, float(f)) for k, f in zip(kernel, stride, strict=True))
        return Node(site.path, "blur_pool", value, Grid(value.features, size), self, {"kernel": kernel, "stride": stride},
                    macs=value.features * prod(size) * prod(kernel), window=window, keeps=elements(value))

    def resizes(self, rank: int) -> list[Resize]:
        """One, which shrinks."""
        return [Resize(spread(self.size, rank), lambda size, axis, factor: -(-size // factor),
                       lambda goal, axis, factor: goal * factor, forced=True)]

    def mirrored(self) -> Layer:
        """An upsampling by the same factor, linear."""
        return Layer.named("upsample", scale=self.size, mode="linear")

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The filter, moved by the stride."""
        from aebuild.modules.channels import BlurPool as Module

        return Module(node.args["kernel"], node.args["stride"])
