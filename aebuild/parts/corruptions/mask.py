"""Masking of single elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Corruption
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Mask(Corruption):
    """Hides elements at random (Vincent et al., 2008)."""

    type: Literal["mask"] = "mask"
    example = "corrupt: [mask: {ratio: 0.3, value: 0.5}]"
    writes_context = ("masked",)
    also = ("masking", "dropout", "salt_and_pepper", "zero", "blackout")
    ratio: float = knob(..., "probability that an element is hidden", examples=[0.25], affects="data", gt=0, lt=1)
    value: float = knob(0.0, "what a hidden element becomes", affects="data")

    @property
    def share(self) -> float:
        """The ratio."""
        return self.ratio

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        from aebuild.modules.corruptions import Mask as MaskModule

        return MaskModule(self.ratio, self.value)
