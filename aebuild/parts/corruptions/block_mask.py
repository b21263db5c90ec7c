"""Masking of blocks of a grid or series."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal, Self

from pydantic import PrivateAttr

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Corruption, Layer
from aebuild.lang.node import Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size, spread
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

TOO_LARGE = Rule("AE829", "a block that hides everything", """\
Blocks lie within a sample at a random place, so their edge must be shorter than the sample's, along one axis at least.

```yaml
data: digits                                   # 8×8
corrupt: [block_mask: {size: 8, count: 1}]
encoder: {layer: conv, width: 16, stride: 2}
```
```yaml
data: digits
corrupt: [block_mask: {size: 4, count: 1}]
encoder: {layer: conv, width: 16, stride: 2}
```
""")


class BlockMask(Corruption):
    """Hides blocks at random places, which the model must fill in (Pathak et al., 2016: context encoders).

    Blocks may overlap. The encoder sees `value` in their place; `on: masked` has the loss count them alone.
    """

    type: Literal["block_mask"] = "block_mask"
    example = ("corrupt: [block_mask: {size: [3, 2], count: 2, value: 0.5}]\n"
               "losses: {reconstruction: {type: mse, on: masked}}")
    also = ("cutout", "random_erasing", "inpainting", "context_encoder", "holes", "erase")
    foreign = {"number": "count", "n": "count", "fill": "value"}
    writes_context = ("masked",)
    takes = ("grid", "sequence")
    size: Size = knob(..., "edge of a block, in places", examples=[8], affects="data")
    count: int = knob(1, "blocks of a sample", affects="data", ge=1, le=1000)
    value: float = knob(0.0, "what a hidden element becomes", affects="data")

    _samples: Value | None = PrivateAttr(None)

    def facing(self, value: Value, encoder: tuple[Layer, ...], site: Site) -> Self:
        """The blocks in samples of this type."""
        rank = len(value.places)
        size = spread(self.size, rank)
        if isinstance(self.size, list) and len(self.size) != rank:
            site.refuse(self, TOO_LARGE, f"size has {len(self.size)} numbers but the samples have {rank} axes", "size",
                        fix=f"size: {list(size)}")
        if any(edge > place for edge, place in zip(size, value.places, strict=True)) or size == value.places:
            half = [max(1, place // 2) for place in value.places]
            site.refuse(self, TOO_LARGE, f"a block of {'×'.join(map(str, size))} hides all of {value}", "size",
                        fix=f"size: {half[0] if len(set(half)) == 1 else half}")
        placed = self.but()
        placed._samples = value
        return placed

    @property
    def share(self) -> float:
        """That of the blocks where none overlap, all at most."""
        assert self._samples is not None
        places = self._samples.places
        return min(1.0, self.count * prod(spread(self.size, len(places))) / prod(places))

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        from aebuild.modules.masks import BlockMask as Module

        value = self._samples
        assert value is not None, "a mask of samples of no type"
        return Module(self.count, spread(self.size, len(value.places)), value.places, value.feature_axis, self.value)
