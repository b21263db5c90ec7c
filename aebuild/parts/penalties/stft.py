"""Spectrograms at several resolutions beside the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.images import WavePenalty
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes

if TYPE_CHECKING:
    from aebuild.modules.losses import Loss


class Stft(WavePenalty):
    """Distance of the spectrograms of waveforms at several resolutions (Parallel WaveGAN, Yamamoto et al., 2020).

    Of each resolution the spectral convergence, an error relative to the whole, and the mean distance of log-magnitudes, which quiet
    frequencies count in as well. Channels by themselves; the mean of resolutions and channels.
    """

    type: Literal["stft"] = "stft"
    example = ("data: {type: series, path: wave.csv, window: {length: 16, stride: 8}}\n"
               "losses: {spectrum: {type: stft, windows: [6, 12], hop: 0.5, weight: 4}}")
    also = ("multi_resolution_stft", "mrstft", "multires_stft", "multi_scale_spectral", "spectrogram")
    key = "spectrum"
    unit = "spectral convergence and nats of magnitude"
    windows: Annotated[list[Annotated[int, Field(ge=4)]], Field(min_length=1)] = knob(
        [240, 600, 1200], "steps of the Hann window of each resolution", affects="loss")
    hop: float = knob(0.2, "how far a window moves, as a share of it", affects="loss", gt=0, le=1)

    def check(self, types: ModelTypes) -> str | None:
        """Waveforms that the windows fit into."""
        return super().check(types) or self.too_short(types, max(self.windows))

    def build_loss(self, node: Node) -> Loss:
        """The penalty's module."""
        from aebuild.modules.spectra import Stft as StftModule

        return StftModule(self.windows, self.hop, series=node.args["series"])
