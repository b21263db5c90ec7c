"""Distance of frequencies beside the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.images import ReconstructionPenalty
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from aebuild.modules.losses import Loss


class FocalFrequency(ReconstructionPenalty):
    """Squared distance of the Fourier coefficients of grids, where those count most that are farthest off (Jiang et al., 2021).

    The mean over frequencies and channels. It helps against the blur that a squared error leaves.
    """

    type: Literal["focal_frequency"] = "focal_frequency"
    example = "losses: {spectrum: {type: focal_frequency, alpha: 0.7, weight: 5}}"
    also = ("ffl", "focal_frequency_loss", "fft", "spectral")
    key = "spectrum"
    unit = "squared distance of a frequency"
    alpha: float = knob(1.0, "power of the distance that a frequency is weighted by; 0: all alike", affects="loss", ge=0)

    def check(self, types: ModelTypes) -> str | None:
        """Grids."""
        return None if isinstance(types.target, Grid) else f"it compares images and other grids, but the data are {types.target}"

    def build_loss(self, node: Node) -> Loss:
        """The penalty's module."""
        from aebuild.modules.spectra import FocalFrequency as FocalFrequencyModule

        return FocalFrequencyModule(self.alpha)
