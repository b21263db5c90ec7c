"""The shape of the output layer."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Resize
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size


class Output(Layer):
    """Shapes the output layer of an image decoder; stands last."""

    type: Literal["output"] = "output"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "decoder: [conv: 2, output: {kernel: 3, stride: 2}]")
    also = ("head", "final", "out")
    kernel: Size = knob(1, "size of the window", affects="graph")
    stride: Size = knob(1, "factor of enlargement", affects="graph")
    wants = ("grid",)

    def resizes(self, rank: int) -> list[Resize]:
        """One, by transposed convolution."""
        return Layer.named("conv", width=1, kernel=self.kernel, stride=self.stride).resizes(rank)
