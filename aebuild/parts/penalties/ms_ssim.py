"""Structural similarity over several scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.images import ImagePenalty
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes

if TYPE_CHECKING:
    from aebuild.modules.losses import Loss

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)        # Wang, Simoncelli and Bovik (2003), table


class MsSsim(ImagePenalty):
    """One minus the structural similarity over several scales, each half as large as the one before (Wang et al., 2003).

    With fewer scales than their five, the weights of these are brought to a sum of 1. The last scale must still hold a window.
    """

    type: Literal["ms_ssim"] = "ms_ssim"
    example = ("losses: {structure: {type: ms_ssim, scales: 2, window: 3, sigma: 1.2, weight: 4}}\n"
               "---\n"
               "losses: {structure: {type: ms_ssim, scales: 2, window: 2}}")
    also = ("msssim", "multi_scale_ssim", "multiscale_ssim")
    key = "structure"
    unit = "1 - MS-SSIM"
    scales: int = knob(5, "how many scales", affects="loss", ge=2, le=len(WEIGHTS))
    window: int = knob(11, "places of the Gaussian window along each axis", affects="loss", ge=2)
    sigma: float = knob(1.5, "standard deviation of the window, in places", affects="loss", gt=0)

    def check(self, types: ModelTypes) -> str | None:
        """Images that hold a window after the last halving."""
        return super().check(types) or self.too_small(types, self.window * 2 ** (self.scales - 1))

    def build_loss(self, node: Node) -> Loss:
        """The penalty's module."""
        from aebuild.modules.structure import Similarity

        some = WEIGHTS[:self.scales]
        return Similarity(self.window, self.sigma, node.args["extent"], [weight / sum(some) for weight in some])
