"""Enlarging a grid without parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.convolution import resampling
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size, per_axis, spread
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from torch import nn


class Upsample(Layer):
    """Enlarges a grid by a factor; in a decoder it ends where the data's size needs it."""

    type: Literal["upsample"] = "upsample"
    example = "decoder: [linear: 16, unflatten: [2, 2], upsample: {scale: 2}, conv: 2, output: {kernel: 3, stride: 2}]"
    also = ("upsampling2d", "upsampling", "interpolate", "resize")
    scale: Size = knob(2, "factor of enlargement", affects="graph")
    mode: Literal["nearest", "linear"] = knob("nearest", "repeat the nearest value, or interpolate linearly", affects="graph")
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(C; S·scale), or up to scale-1 less or more in a decoder."""
        factor = per_axis(self, "scale", len(value.places), site)
        size = tuple(s * f for s, f in zip(value.places, factor, strict=True))
        if site.stage.up:
            size = site.next_resize()[1]
        return Node(site.path, "upsample", value, Grid(value.features, size), self, {"size": size, "mode": self.mode},
                    window=resampling(value.places, size, self.mode))

    def resizes(self, rank: int) -> list[Resize]:
        """One: to every size that pooling by `scale` would take to this one, and those below."""
        return [Resize(spread(self.scale, rank), lambda size, axis, factor: size * factor + factor - 1,
                       lambda goal, axis, factor: -(-goal // factor))]

    def mirrored(self) -> Layer:
        """A pooling by the same factor."""
        return Layer.named("pool", size=self.scale)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A resampling to the planned size."""
        from aebuild.modules.shapes import Resize as Resample

        return Resample(node.args["size"], node.args["mode"])
