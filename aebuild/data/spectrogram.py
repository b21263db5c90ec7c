"""Log-mel spectrograms of waveforms, and waveforms that have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SILENCE = 1e-10       # the least power, -100 dB
STEPS = 32            # of Griffin and Lim's algorithm


@dataclass(frozen=True)
class Spectrogram:
    """Power in decibels over mel bands, the highest first, and frames of a waveform of `length` samples.

    A Hann window of `window` samples is moved by `hop` of them; the bands are triangles of height 1 whose corners are equally far apart on
    the mel scale 2595 log10(1 + f/700) from 0 to half the rate (Stevens, Volkmann and Newman, 1937; O'Shaughnessy, 1987).
    """

    rate: int
    length: int
    window: int
    hop: int
    mels: int

    @property
    def frames(self) -> int:
        """Positions of the window, whose middle goes from the first sample to the last or beyond."""
        return -(-self.length // self.hop) + 1

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """The frequencies between which the bands lie, [mels + 2], in hertz."""
        import numpy as np

        top = 2595 * np.log10(1 + self.rate / 2 / 700)
        found: NDArray[np.float64] = 700 * (10 ** (np.linspace(0, top, self.mels + 2) / 2595) - 1)
        return found

    @cached_property
    def bands(self) -> NDArray[np.float64]:
        """How much of each frequency is in each band, the lowest first, [mels, window // 2 + 1]."""
        import numpy as np

        heard = np.fft.rfftfreq(self.window, 1 / self.rate)
        low, middle, high = (self.corners[start:start + self.mels, None] for start in range(3))
        return np.maximum(0, np.minimum((heard - low) / (middle - low), (high - heard) / (high - middle)))

    @property
    def deaf(self) -> int:
        """Bands so narrow that no frequency of the window lies in them."""
        return int((self.bands.sum(1) == 0).sum())

    def of(self, waves: NDArray[Any]) -> NDArray[np.float32]:
        """Waveforms [n, length] to decibels [n, mels, frames]."""
        import numpy as np

        power = np.square(np.abs(self._stft(waves)))                     # (n, F, T)
        decibels: NDArray[np.float32] = (10 * np.log10(np.maximum(self.bands @ power, SILENCE))).astype(np.float32)
        return decibels[:, ::-1]

    def back(self, decibels: NDArray[Any]) -> NDArray[np.float32]:
        """Waveforms [n, length] whose spectrograms [n, mels, frames] these are nearly (Griffin and Lim, 1984)."""
        import numpy as np

        mels = 10 ** (np.minimum(decibels[:, ::-1].astype(np.float64), 60) / 10)
        loud = np.sqrt(np.maximum(np.linalg.pinv(self.bands) @ mels, 0))                         # (n, F, T)
        phase = np.exp(2j * np.pi * np.random.RandomState(0).rand(*loud.shape[1:]))
        for _ in range(STEPS):
            guess = self._stft(self._istft(loud * phase))
            phase = guess / np.maximum(np.abs(guess), 1e-12)
        return self._istft(loud * phase).astype(np.float32)

    def _stft(self, waves: NDArray[Any]) -> NDArray[np.complex128]:
        from scipy.signal import stft

        found: NDArray[np.complex128] = stft(waves.astype("float64"), nperseg=self.window, noverlap=self.window - self.hop)[2]
        return found

    def _istft(self, values: NDArray[np.complex128]) -> NDArray[np.float64]:
        from scipy.signal import istft

        found: NDArray[np.float64] = istft(values, nperseg=self.window, noverlap=self.window - self.hop)[1][..., :self.length]
        return found
