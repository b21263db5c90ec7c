"""Losses that compare target and reconstruction by their frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs

POWER = 1e-7          # the least power, of which a root or a logarithm is taken


class SpectralLoss(Loss):
    """A loss of target and reconstruction, [N, ...] twice to [N]."""

    def loss(self, outputs: Outputs) -> Tensor:
        """[N]."""
        return self(outputs.target, outputs.reconstruction)  # type: ignore[no-any-return]


class FocalFrequency(SpectralLoss):
    """Squared distance of the Fourier coefficients of grids, each weighted by how far off it is (Jiang et al., 2021).

    The weight is the distance to the power `alpha`, as a share of the largest of its channel; no gradient goes through it.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, target: Tensor, other: Tensor) -> Tensor:
        """Grids [N, C, *S], the mean over all frequencies and channels."""
        axes = tuple(range(2, target.ndim))
        apart = torch.fft.fftn(other - target, dim=axes, norm="ortho")
        square = apart.real.square() + apart.imag.square()
        with torch.no_grad():
            weight = square ** (self.alpha / 2)
            largest = weight.amax(axes, keepdim=True)
            weight = torch.where(largest > 0, weight / largest.clamp(min=torch.finfo(weight.dtype).tiny), 0.0)
        found: Tensor = (weight * square).flatten(1).mean(1)
        return found


class WaveLoss(SpectralLoss):
    """A loss of waveforms: of grids [N, C, T], or with `series` of sequences [N, T, D], each channel by itself."""

    def __init__(self, *, series: bool) -> None:
        super().__init__()
        self.series = series

    def forward(self, target: Tensor, other: Tensor) -> Tensor:
        """[N], the mean over channels."""
        waves = [(x.transpose(1, 2) if self.series else x) for x in (target, other)]
        n, channels = waves[0].shape[:2]
        each = self.compared(*(wave.reshape(n * channels, -1) for wave in waves))
        return each.view(n, channels).mean(1)

    def compared(self, target: Tensor, other: Tensor) -> Tensor:
        """Waveforms [M, T] twice to [M]."""
        raise TypeError(f"{type(self).__name__} compares nothing")

    @staticmethod
    def power(wave: Tensor, window: Tensor, hop: int) -> Tensor:
        """Power spectra of frames, [M, T] to [M, frequencies, frames], of a transform twice as long as a power of two allows."""
        size = 1 << math.ceil(math.log2(len(window)))
        shape = torch.stft(wave, size, hop, len(window), window.to(wave.dtype), pad_mode="constant", return_complex=True)
        return shape.real.square() + shape.imag.square()


class Stft(WaveLoss):
    """Spectral convergence and log-magnitude distance over several resolutions (Parallel WaveGAN, Yamamoto et al., 2020).

    The Hann window of each resolution has a length of its own, in `windows`, and moves by the share `hop` of it.
    """

    def __init__(self, windows: Sequence[int], hop: float, *, series: bool) -> None:
        super().__init__(series=series)
        self.windows, self.hop = tuple(windows), hop

    def compared(self, target: Tensor, other: Tensor) -> Tensor:
        """The mean of the resolutions."""
        found = []
        for length in self.windows:
            window = torch.hann_window(length, device=target.device)
            wanted, given = (self.power(wave, window, max(1, round(length * self.hop))).clamp(min=POWER).sqrt().flatten(1)
                             for wave in (target, other))
            found.append((wanted - given).norm(dim=1) / wanted.norm(dim=1) + (wanted.log() - given.log()).abs().mean(1))
        return torch.stack(found).mean(0)


class Mel(WaveLoss):
    """The mean distance of log-mel spectra, in nats of power, with `bands` from 0 to half the `rate` (in samples a second)."""

    filters: Tensor

    def __init__(self, rate: float, bands: int, window: int, hop: float, *, series: bool) -> None:
        super().__init__(series=series)
        self.window, self.hop = window, hop
        self.register_buffer("filters", mel_filters(rate, bands, 1 << math.ceil(math.log2(window))), persistent=False)

    def compared(self, target: Tensor, other: Tensor) -> Tensor:
        """[M]."""
        window, hop = torch.hann_window(self.window, device=target.device), max(1, round(self.window * self.hop))
        wanted, given = ((self.filters.to(wave.dtype) @ self.power(wave, window, hop)).clamp(min=POWER).log() for wave in (target, other))
        return F.l1_loss(given, wanted, reduction="none").flatten(1).mean(1)


def mel_filters(rate: float, bands: int, size: int) -> Tensor:
    """Triangles of height 1 whose corners are equally far apart on the mel scale 2595 log10(1 + f/700), [bands, size // 2 + 1]."""
    heard = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)
    top = 2595 * math.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1)
    low, middle, high = (corners[start:start + bands, None] for start in range(3))
    return torch.minimum((heard - low) / (middle - low), (high - heard) / (high - middle)).clamp(min=0).float()
