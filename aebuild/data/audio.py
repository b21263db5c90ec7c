"""Recordings as samples: brought to one rate, one channel and one length, as waveforms or spectrograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import shown
from aebuild.data.formats import sound
from aebuild.data.probe import plural
from aebuild.data.raw_samples import even_blocks
from aebuild.data.spectrogram import Spectrogram
from aebuild.lang.diagnostics import Rule
from aebuild.lang.samples import Form

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNFIT_SOUND = Rule("AE455", "a spectrogram that cannot be made so", """\
A spectrogram looks through a `window` of samples that moves by a `hop`, which is at most half of it, and puts the frequencies into `mels`
bands. With many bands or a short window the lowest bands are narrower than two frequencies of the window are apart, and would hear nothing.
Waveforms have none of the three.

```yaml
data: {path: calls/, as: spectrogram, window: 256, mels: 128}
```
```yaml
data: {path: calls/, as: spectrogram, window: 1024, mels: 64}
```
""")


@dataclass(frozen=True)
class Heard:
    """What the recordings of a folder have in common: samples a second, and how many a sample of the model has."""

    rate: int
    length: int
    notes: tuple[str, ...] = ()


def listen(files: Sequence[Path], rate: int | None, length: int | None) -> Heard:
    """The rate and length that are wanted, else the first recording's rate and the longest one's length, from the headers."""
    known = rate is not None and length is not None
    heads = [sound.header(file) for file in (files[:16] if known else files)]
    rates, channels = Counter(head.rate for head in heads), max(head.channels for head in heads)
    chosen = rate or heads[0].rate
    notes = []
    if rate is None and len(rates) > 1:
        others = sum(count for each, count in rates.items() if each != chosen)
        notes.append(f"{plural(others, 'recording')} of another rate than {chosen:,} samples a second are brought to it (`rate` chooses "
                     "another)")
    if channels > 1:
        notes.append(f"the recordings have up to {channels} channels, of which the mean is taken")
    longest = max(resampled_length(head.frames, head.rate, chosen) for head in heads)
    if length is not None and not known and longest > length:
        cut = sum(resampled_length(head.frames, head.rate, chosen) > length for head in heads)
        notes.append(f"{plural(cut, 'recording')} longer than {length / chosen:.3g} s are cut at the end")
    return Heard(chosen, length or max(1, longest), tuple(notes))


TAPS = 10                     # of scipy's polyphase filter to either side, in steps of the slower rate


def resampled_length(frames: int, rate: int, wanted: int) -> int:
    """How many samples a recording has at another rate."""
    return ceil(frames * wanted / rate)


def at_rate(wave: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """A waveform at another rate, by a polyphase filter."""
    if rate == wanted or not len(wave):
        return wave
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    found: NDArray[np.float32] = resample_poly(wave, wanted // common, rate // common).astype(wave.dtype)
    return found.clip(-1, 1)


def stretch_at_rate(file: Path, rate: int, wanted: int, frames: int, start: int, stop: int) -> NDArray[np.float32]:
    """Samples `start` to `stop` of a recording of `frames` at another rate, as `at_rate` gives them of the whole.

    Only what they need is read: the stretch begins at a multiple of what the filter takes to one step of both rates, and reaches as far as
    its taps.
    """
    common = gcd(rate, wanted)
    up, down = wanted // common, rate // common
    margin = TAPS * max(up, down) // (up * down) + 1                       # in steps of `down` samples in and `up` samples out
    first, last = max(0, start // up - margin), stop // up + 1 + margin
    wave = at_rate(*sound.read(file, first * down, min(frames, last * down)), wanted)
    return wave[start - first * up:stop - first * up]


@dataclass
class Recordings:
    """Recordings decoded when they are taken; `spectrogram` is None where waveforms are wanted."""

    files: Sequence[Path]
    rate: int
    length: int
    spectrogram: Spectrogram | None

    def __len__(self) -> int:
        return len(self.files)

    def name(self, row: int) -> str:
        """The file's path."""
        return shown(self.files[row])

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Waveforms [n, 1, length], or spectrograms [n, 1, mels, frames]."""
        import numpy as np

        waves = np.zeros((len(index), self.length), np.float32)
        for row, place in enumerate(index.tolist()):
            wave = at_rate(*sound.read(self.files[place]), self.rate)[:self.length]
            waves[row, :len(wave)] = wave
        return (waves if self.spectrogram is None else self.spectrogram.of(waves))[:, None]

    def blocks(self) -> NDArray[np.int64]:
        """Files that follow each other by name."""
        return even_blocks([0, len(self.files)])

    def sources(self) -> Sequence[Path]:
        """The recordings."""
        return self.files


class Sounds(Form):
    """A folder of WAV files, named like the files that they came from, else by number; spectrograms become sound again."""

    suffix = ""

    def __init__(self, rate: int, spectrogram: Spectrogram | None) -> None:
        self.rate, self.spectrogram = rate, spectrogram

    def write(self, place: Path, batches: Iterable[NDArray[Any]], beside: Mapping[str, Sequence[str]]) -> None:
        """Waveforms [n, 1, L] or spectrograms [n, 1, mels, frames]."""
        place.mkdir()
        names, number = beside.get("file"), 0
        for batch in batches:
            for wave in batch[:, 0] if self.spectrogram is None else self.spectrogram.back(batch[:, 0]):
                inner = Path(f"{number:06d}.wav" if names is None else names[number]).with_suffix(".wav")
                file = place / Path(*(part for part in inner.parts if part not in ("..", "/", ".")))
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("wb") as stream:
                    sound.write(stream, wave, self.rate)
                number += 1
