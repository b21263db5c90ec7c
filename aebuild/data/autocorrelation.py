"""How a series resembles itself later on: what a window's length is chosen by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, shown
from aebuild.data.rules import WINDOWS
from aebuild.lang.diagnostics import Hint
from aebuild.lang.suggestion import Suggestion

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LOOKED_AT = 1 << 15            # steps of a series
SHORTEST, LONGEST = 16, 256    # windows
MOST_WINDOWS, OVERLAP = 20_000, 8
FADED, PEAK = 0.2, 0.3         # correlations: below the first a series has forgotten itself, above the second it repeats
PARTS = 12                     # windows that a series must hold at least, so that each split has some


def suggest_window(values: NDArray[Any], path: Path) -> Suggestion:
    """Length and stride of windows over series [S, T, D]; DataError where they are too short for any."""
    steps = values.shape[1]
    most = min(LONGEST, steps // PARTS)
    if most < 2:
        raise fault(WINDOWS, f"{shown(path)} has {steps:,} steps, too few to cut windows from and to keep some for validation and test",
                    Hint("a longer series"))
    correlation = autocorrelation(values[0, :LOOKED_AT])
    length, why = length_of(correlation)
    if length > most:
        length, why = most, f"{why}; a twelfth of the series is taken, so that each split holds some"
    stride = max(1, length // OVERLAP, steps * len(values) // MOST_WINDOWS)
    return Suggestion({"window": {"length": length, "stride": stride}},
                      {"window": f"{why}. A window begins every {stride} step{'s'[:stride != 1]}: they overlap, which gives "
                                 "more samples"})


def autocorrelation(values: NDArray[Any]) -> NDArray[Any]:
    """Correlation of a series [T, D] with itself at each lag below T / 2, averaged over its columns; constant ones do not count."""
    import numpy as np

    centred = np.asarray(values, np.float64) - np.mean(values, axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    centred = centred[:, spread > 0] / spread[spread > 0]
    steps = len(centred)
    if not centred.shape[1]:
        return np.ones(max(1, steps // 2))
    spectrum = np.fft.rfft(centred, 2 * steps, axis=0)
    full = np.fft.irfft(np.square(np.abs(spectrum)), axis=0)[:max(1, steps // 2)]
    mean = (full / (steps - np.arange(len(full)))[:, None]).mean(axis=1)
    relative: NDArray[Any] = mean / mean[0]
    return relative


def length_of(correlation: NDArray[Any]) -> tuple[int, str]:
    """Steps of a window, and why: two periods of what repeats, else as long as a step is remembered."""
    import numpy as np

    period = period_of(correlation)
    if period is not None:
        times = 2 if 2 * period <= LONGEST else 1
        length = max(SHORTEST, min(LONGEST, times * period))
        held = f"a window holds {'two periods' if times == 2 else 'one period'}" if length == times * period else \
            f"a window has {length}, the {'least' if length == SHORTEST else 'most'} that is proposed"
        return length, f"the values repeat every {period} steps (correlation {correlation[period]:.2f}), so {held}"
    faded = np.flatnonzero(correlation < FADED)
    memory = int(faded[0]) if len(faded) else len(correlation)
    length = max(SHORTEST, min(LONGEST, 2 * memory))
    return length, f"a value tells of the next {memory:,} steps (until the correlation falls below {FADED:g}), so a window has {length}"


def period_of(correlation: NDArray[Any]) -> int | None:
    """The lag of the first clear peak behind the first trough; None where nothing repeats."""
    import numpy as np

    inner = correlation[1:-1]
    low = np.flatnonzero(correlation < PEAK / 2)
    if not len(low):
        return None
    peaks = 1 + np.flatnonzero((inner >= correlation[:-2]) & (inner > correlation[2:]) & (inner > PEAK))
    later = peaks[peaks > low[0]]
    if not len(later):
        return None
    # the first of those that are about as high as the highest: later ones are its multiples
    high = later[correlation[later] >= 0.85 * correlation[later].max()]
    return int(high[0])
