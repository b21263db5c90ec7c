"""Log-mel spectrograms beside the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.images import WavePenalty
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes

if TYPE_CHECKING:
    from aebuild.modules.losses import Loss


class Mel(WavePenalty):
    """Mean distance of the log-mel spectrograms of waveforms, as hearing weighs frequencies (HiFi-GAN, Kong et al., 2020)."""

    type: Literal["mel"] = "mel"
    example = ("data: {type: series, path: wave.csv, window: {length: 16, stride: 8}}\n"
               "losses: {spectrum: {type: mel, rate: 100, bands: 3, window: 12, hop: 0.5, weight: 4}}")
    also = ("mel_spectrogram", "log_mel", "melspec")
    key = "spectrum"
    unit = "nats of power of a band"
    rate: float = knob(..., "samples a second of the data", examples=[16000], affects="loss", gt=0)
    bands: int = knob(80, "bands from 0 to half the rate, equally far apart on the mel scale", affects="loss", ge=1)
    window: int = knob(1024, "steps of the Hann window", affects="loss", ge=4)
    hop: float = knob(0.25, "how far the window moves, as a share of it", affects="loss", gt=0, le=1)

    def check(self, types: ModelTypes) -> str | None:
        """Waveforms that the window fits into, and which has frequencies for the bands."""
        few = f"a window of {self.window} has no {self.bands} frequencies for as many bands" if self.bands > self.window // 2 else None
        return super().check(types) or self.too_short(types, self.window) or few

    def build_loss(self, node: Node) -> Loss:
        """The penalty's module."""
        from aebuild.modules.spectra import Mel as MelModule

        return MelModule(self.rate, self.bands, self.window, self.hop, series=node.args["series"])
