"""Shrinking a grid without parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size, per_axis, spread
from aebuild.lang.values import Grid, Value, elements

if TYPE_CHECKING:
    from torch import nn

TOO_SMALL = Rule("AE327", "the grid is smaller than the pooling window", """\
Pooling replaces blocks of the grid by one value each. A grid smaller than the block would become empty.

```yaml
data: digits            # 8×8
encoder: [conv: 32, pool: 4, conv: 64, pool: 4]
```
```yaml
encoder: [conv: 32, pool: 2, conv: 64, pool: 2]
```
""")


class Pool(Layer):
    """The maximum or mean of blocks of a grid."""

    type: Literal["pool"] = "pool"
    example = ("encoder: [conv: 4, pool: {size: 2, mode: max}]\n"
               "decoder: [linear: 16]")
    also = ("maxpool", "max_pool", "maxpool2d", "max_pooling2d", "avgpool", "avg_pool", "avgpool2d", "average_pooling2d")
    size: Size = knob(2, "edge of a block", affects="graph")
    mode: Literal["max", "mean"] = knob("max", "what stands for a block", affects="graph")
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(C; S//size)."""
        block = per_axis(self, "size", len(value.places), site)
        size = tuple(s // b for s, b in zip(value.places, block, strict=True))
        if min(size) < 1:
            site.refuse(self, TOO_SMALL, f"blocks of {'×'.join(map(str, block))} do not fit into {value}", "size",
                        fix=f"size: {min(value.places)}")
        if site.stage.up:
            site.next_resize()
        out = Grid(value.features, size)
        indices = 2 * elements(out) if self.mode == "max" else 0          # of 8 bytes
        return Node(site.path, f"{self.mode}_pool", value, out, self, {"block": block}, window=tuple((b, float(b)) for b in block),
                    keeps=elements(value) + indices)

    def resizes(self, rank: int) -> list[Resize]:
        """One, which shrinks."""
        return [Resize(spread(self.size, rank), lambda size, axis, factor: size // factor,
                       lambda goal, axis, factor: goal * factor, forced=True)]

    def mirrored(self) -> Layer:
        """An upsampling by the same factor."""
        return Layer.named("upsample", scale=self.size)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's pooling of the right rank."""
        from torch import nn

        block = tuple(node.args["block"])
        if self.mode == "mean":
            return (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[len(block) - 1](block)
        return (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[len(block) - 1](block)
