"""Recordings: WAV, FLAC and OGG files, through soundfile."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from aebuild.data.class_folders import FileKind
from aebuild.data.errors import fault, reading, reason_of, regular_file, shown
from aebuild.data.rules import DAMAGED, EXTRA
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORDINGS = FileKind("recording", (".wav", ".flac", ".ogg"))


class Header(NamedTuple):
    """Samples a second, samples of each channel, and channels."""

    rate: int
    frames: int
    channels: int


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open recording; the library's own errors become one message."""
    regular_file(path)
    library = _library(path)
    with reading(path), open_regular(path) as file:
        try:
            with library.SoundFile(file) as sound:
                yield sound
        except library.LibsndfileError as error:
            raise fault(DAMAGED, f"{shown(path)} is no recording that can be read: {reason_of(error)}") from error


def header(path: Path) -> Header:
    """Rate, length and channels, from the file's header."""
    with _opened(path) as sound:
        return Header(int(sound.samplerate), int(sound.frames), int(sound.channels))


def read(path: Path, start: int = 0, stop: int | None = None) -> tuple[NDArray[np.float32], int]:
    """The mean of all channels [frames] in [-1, 1], and the samples a second; of the frames from `start` to `stop`."""
    import numpy as np

    with _opened(path) as sound:
        sound.seek(start)
        wave: NDArray[np.float32] = sound.read(-1 if stop is None else stop - start, dtype="float32", always_2d=True).mean(1)
        rate = int(sound.samplerate)
    if not np.isfinite(wave).all():
        raise fault(DAMAGED, f"{shown(path)} holds samples that are no finite numbers")
    return np.clip(wave, -1, 1), rate


def write(file: IO[bytes], wave: NDArray[Any], rate: int) -> None:
    """Writes a recording [frames] as a WAV of 16 bits; what is beyond [-1, 1] is clipped."""
    _library(Path("a recording")).write(file, wave.clip(-1, 1), rate, format="WAV", subtype="PCM_16")


def _library(path: Path) -> Any:
    try:
        return importlib.import_module("soundfile")
    except (ImportError, OSError) as error:              # OSError where the package is there, but its library is not
        raise fault(EXTRA, f"{shown(path)} needs the package soundfile, which is not installed",
                    Hint('pip install "aebuild[audio]"')) from error
