"""The shape of the output layer."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Resize
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size


class Output(Layer):
    """Shapes the decoder's output layer; stands last.

    A window is for grids, `columns` for linear output layers.
    """

    type: Literal["output"] = "output"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "decoder: [conv: 2, output: {kernel: 3, stride: 2}]")
    also = ("head", "final", "out")
    kernel: Size = knob(1, "size of the window", affects="graph")
    stride: Size = knob(1, "factor of enlargement", affects="graph")
    columns: Literal["free", "unit"] = knob(
        "free", "norms of a linear output layer's columns, of which each input has one: free, or all 1, as dictionaries have it",
        affects="graph")
    wants = ("grid",)

    @property
    def windowed(self) -> bool:
        """True if it gives the output layer a window, and so wants a grid."""
        written = {*self._origin.fields}
        return self._origin.span is not None and ("columns" not in written or bool({"kernel", "stride"} & written))

    def resizes(self, rank: int) -> list[Resize]:
        """One, by transposed convolution."""
        return Layer.named("conv", width=1, kernel=self.kernel, stride=self.stride).resizes(rank)
