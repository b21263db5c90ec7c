"""Structural similarity (Wang et al., 2004) over square windows as a further term."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from torch import nn


class Ssim(Penalty):
    """One minus the structural similarity of target and reconstruction (Wang et al., 2004)."""

    type: Literal["box_ssim"] = "box_ssim"
    key = "structure"
    unit = "1 - SSIM"
    window: int = knob(5, "places of the window along each axis", affects="loss", ge=2)
    example: ClassVar[str] = """\
data: digits
encoder: {layer: conv, width: 8, stride: 2}
latent: {type: continuous, dim: 8}
losses: {structure: {type: box_ssim, weight: 4, window: 3}}
"""

    def check(self, types: ModelTypes) -> str | None:
        """Images whose range is known."""
        if not isinstance(types.target, Grid) or len(types.target.size) != 2:
            return f"it compares images, but the data are {types.target}"
        return None if types.bounds.low is not None and types.bounds.high is not None else "it needs data in a known range"

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The term's module."""
        from torch import Tensor
        from torch.nn import functional as F

        from aebuild.modules.losses import Loss
        from aebuild.modules.outputs import Outputs

        class Module(Loss):
            def __init__(self, window: int) -> None:
                super().__init__()
                self.window = window

            def loss(self, outputs: Outputs) -> Tensor:
                x, y = outputs.target, outputs.reconstruction
                mean_x, mean_y = self._mean(x), self._mean(y)
                spread = [self._mean(a * b) - self._mean(a) * self._mean(b) for a, b in ((x, x), (y, y), (x, y))]
                alike = (2 * mean_x * mean_y + 1e-4) * (2 * spread[2] + 9e-4)
                return 1 - (alike / ((mean_x ** 2 + mean_y ** 2 + 1e-4) * (spread[0] + spread[1] + 9e-4))).flatten(1).mean(1)

            def _mean(self, x: Tensor) -> Tensor:
                return F.avg_pool2d(x, self.window, 1)

        return Module(self.window)
