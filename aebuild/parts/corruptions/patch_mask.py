"""Masking of patches, which the encoder then does not see."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal, Self

from pydantic import PrivateAttr

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Corruption, Layer
from aebuild.lang.node import Site
from aebuild.lang.part import knob
from aebuild.lang.patches import patch_grid
from aebuild.lang.per_axis import spread
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

NO_PATCHES = Rule("AE821", "patches are hidden from an encoder that has none", """\
`patch_mask` hides patches of an encoder that begins with `patchify`, whose size they have: the encoder is then given the visible ones
alone. Any other encoder sees a whole grid, of which `block_mask` hides blocks.

```yaml
data: mnist
corrupt: [patch_mask: 0.75]
encoder: {layer: conv, width: [16, 32], stride: 2}
```
```yaml
data: mnist
corrupt: [patch_mask: 0.75]
encoder: [patchify: {size: 4, width: 32}, transformer: 32]
```
""")

NONE_OR_ALL = Rule("AE822", "a mask that hides nothing or everything", """\
Of every sample the same number of patches is hidden: the ratio of all, rounded. Blocks lie within a sample. One patch at least must be
hidden, one be visible, and a block be smaller than the sample, or there is nothing to learn.

```yaml
data: digits                                                  # 8×8
corrupt: [patch_mask: 0.9]                                    # 4 of 4 patches
encoder: [patchify: {size: 4, width: 32}, transformer: 32]
```
```yaml
data: digits
corrupt: [patch_mask: 0.75]                                   # 3 of 4
encoder: [patchify: {size: 4, width: 32}, transformer: 32]
```
""")


class PatchMask(Corruption):
    """Hides patches at random; the encoder sees the others alone (He et al., 2021).

    The patches are those of the encoder's `patchify`, equally many of each sample. Behind the encoder one learned vector stands for each
    of them, so that the code has all places. Encoding and reconstructing hide nothing, unless `when: always`.
    """

    type: Literal["patch_mask"] = "patch_mask"
    example = ("corrupt: [patch_mask: {ratio: 0.5}]\n"
               "encoder: [patchify: {size: 2, width: 4}, transformer: {width: 4, heads: 2, returns: mean}]\n"
               "decoder: [linear: 16]\n"
               "losses: {reconstruction: {type: mse, on: masked}}")
    also = ("patch_masking", "mae", "random_masking", "masked_patches")
    foreign = {"mask_ratio": "ratio"}
    writes_context = ("visible", "masked")
    takes = ("grid", "sequence")
    ratio: float = knob(0.75, "share of the patches that are hidden", affects="data", gt=0, lt=1)

    _size: tuple[int, ...] = PrivateAttr(())
    _grid: tuple[int, ...] = PrivateAttr(())
    _value: Value | None = PrivateAttr(None)

    def facing(self, value: Value, encoder: tuple[Layer, ...], site: Site) -> Self:
        """The patches of the encoder's first layer; refusal where it has none, or one of none or all hidden."""
        if not encoder or encoder[0].variant_name() != "patchify":
            site.refuse(self, NO_PATCHES, "the encoder does not begin with `patchify`, so there are no patches to hide", "type",
                        fix="block_mask: {size: 4, count: 2}" if value.kind == "grid" else None)
        placed = self.but()
        placed._size = spread(encoder[0].size, len(value.places))  # type: ignore[attr-defined]
        placed._grid, placed._value = patch_grid(value.places, placed._size), value
        count = prod(placed._grid)
        if not 0 < placed.hidden < count:
            nearest = (count - 1 if placed.hidden else 1) / count
            site.refuse(self, NONE_OR_ALL, f"a ratio of {self.ratio:g} hides {placed.hidden} of {count} patches", "ratio",
                        fix=f"ratio: {nearest:.3g}" if count > 1 else Hint("smaller patches"))
        return placed

    @property
    def hidden(self) -> int:
        """How many patches of a sample are hidden."""
        return round(self.ratio * prod(self._grid))

    @property
    def share(self) -> float:
        """That of hidden patches."""
        return self.hidden / prod(self._grid)

    @property
    def visible(self) -> int:
        """How many of them the encoder sees."""
        return prod(self._grid) - self.hidden

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        from aebuild.modules.masks import PatchMask as Module

        assert self._value is not None, "a mask that faces no encoder"
        return Module(self.hidden, self._size, self._grid, self._value.places, self._value.feature_axis)
