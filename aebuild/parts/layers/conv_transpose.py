"""A transposed convolution with torch's own arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from aebuild.lang.convolution import Window, holes, transpose, transposed_size
from aebuild.lang.diagnostics import Rule
from aebuild.lang.lint import Finding, Surroundings
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.norm_act import Weighted
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Margin, Size, per_axis, spread
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

PADDING = Rule("AE326", "impossible padding of a transposed convolution", """\
Output padding adds rows that only one side sees, so torch wants it smaller than the stride or the dilation; and the padding must leave at
least one place of the result.

```yaml
decoder: [conv_transpose: {width: 64, stride: 2, output_padding: 2}]
```
```yaml
decoder: [conv_transpose: {width: 64, stride: 2, output_padding: 1}]
```
""")


class ConvTranspose(Weighted):
    """A transposed convolution, sizes exactly as torch computes them."""

    type: Literal["conv_transpose"] = "conv_transpose"
    example = ("encoder: [pool: 2, conv_transpose: {width: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1, dilation: 2}]\n"
               "decoder: [linear: 16]")
    also = ("deconv", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "conv2d_transpose", "transposed_conv")
    width: int = knob(..., "output channels", examples=[64], affects="graph", ge=1)
    kernel: Size = knob(3, "size of the window", affects="graph")
    stride: Size = knob(2, "factor of enlargement", affects="graph")
    padding: Margin | None = knob(None, "places cut from each side (default (kernel-1)//2)", affects="graph")
    output_padding: Margin = knob(0, "places added at the end; less than the stride", affects="graph")
    dilation: Size = knob(1, "distance between the window's taps", affects="graph")
    wants = ("grid",)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """A window that moves further than its size leaves places out."""
        return holes(self, node)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(width; (S-1)·stride - 2·padding + dilation·(kernel-1) + 1 + output_padding)."""
        rank = len(value.places)
        kernel, stride = per_axis(self, "kernel", rank, site), per_axis(self, "stride", rank, site)
        dilation, extra = per_axis(self, "dilation", rank, site), per_axis(self, "output_padding", rank, site)
        padding = self._padding(rank) if self.padding is None else per_axis(self, "padding", rank, site)
        size = tuple(transposed_size(*axis) for axis in zip(value.places, kernel, stride, dilation, padding, extra, strict=True))
        if min(size) < 1 or any(e >= max(f, d) for e, f, d in zip(extra, stride, dilation, strict=True)):
            site.refuse(self, PADDING, f"padding {list(padding)} and output padding {list(extra)} are impossible on {value}",
                        "output_padding", "padding", fix="output_padding: 0")
        if site.stage.up:
            site.next_resize()
        leaf = transpose(self, site.path, value, self.width, size, Window(kernel, stride, dilation, tuple((p, p) for p in padding)),
                         extra, self.bias, self.gain)
        return self.dress([leaf], value, site)

    def _padding(self, rank: int) -> tuple[int, ...]:
        return tuple(d * (k - 1) // 2 for k, d in zip(spread(self.kernel, rank), spread(self.dilation, rank), strict=True))

    def resizes(self, rank: int) -> list[Resize]:
        """One, exactly as torch computes it."""
        kernel, dilation, extra = spread(self.kernel, rank), spread(self.dilation, rank), spread(self.output_padding, rank)
        padding = self._padding(rank) if self.padding is None else spread(self.padding, rank)

        def reach(size: int, axis: int, factor: int) -> int:
            return transposed_size(size, kernel[axis], factor, dilation[axis], padding[axis], extra[axis])

        def natural(goal: int, axis: int, factor: int) -> int:
            fixed = dilation[axis] * (kernel[axis] - 1) + 1 + extra[axis] - 2 * padding[axis]
            return max(1, -(-(goal - fixed) // factor) + 1)

        return [Resize(spread(self.stride, rank), reach, natural, forced=True)]

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's transposed convolution of the right rank."""
        from aebuild.modules.convolution import convolution

        return convolution(len(node.output.places), node.input.features, node.output.features, **node.args)
