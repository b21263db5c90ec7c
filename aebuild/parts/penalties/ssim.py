"""Structural similarity beside the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.images import ImagePenalty
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes

if TYPE_CHECKING:
    from aebuild.modules.losses import Loss


class Ssim(ImagePenalty):
    """One minus the structural similarity of image and reconstruction (Wang et al., 2004): means, contrasts and edges alike.

    0 where both are equal, at most 2; for images in a known range, which the window must fit into.
    """

    type: Literal["ssim"] = "ssim"
    example = "losses: {structure: {type: ssim, window: 5, sigma: 1.2, weight: 4}}"
    also = ("structural_similarity", "dssim")
    key = "structure"
    leads = True
    unit = "1 - SSIM"
    window: int = knob(11, "places of the Gaussian window along each axis", affects="loss", ge=2)
    sigma: float = knob(1.5, "standard deviation of the window, in places", affects="loss", gt=0)

    def check(self, types: ModelTypes) -> str | None:
        """Images of at least a window."""
        return super().check(types) or self.too_small(types, self.window)

    def build_loss(self, node: Node) -> Loss:
        """The penalty's module."""
        from aebuild.modules.structure import Similarity

        return Similarity(self.window, self.sigma, node.args["extent"])
