"""What several seeds tell: intervals of means, and whether one mean is above another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
Test = Literal["paired", "welch"]


@dataclass(frozen=True)
class Interval:
    """The mean of `count` values, and half the width of its 95 % interval, which one value has not."""

    mean: float
    half: float | None
    count: int


def interval(values: Sequence[float]) -> Interval:
    """The mean with Student's interval (Student, 1908)."""
    from scipy.stats import t

    count, mean = len(values), float(np.mean(values))
    if count < 2:
        return Interval(mean, None, count)
    error = 0.0 if _same(values, max(map(abs, values))) else float(np.std(values, ddof=1)) / count ** 0.5
    return Interval(mean, float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error, count)


def paired(first: Sequence[float], second: Sequence[float]) -> float | None:
    """p of equal means, two-sided, of values that belong together in pairs; None for fewer than two pairs."""
    from scipy.stats import ttest_1samp

    apart = np.subtract(first, second)
    if len(apart) < 2:
        return None
    if _same(apart, max(map(abs, (*first, *second)))):
        return 1.0 if abs(apart[0]) <= _grain(max(map(abs, (*first, *second)))) else 0.0
    return float(ttest_1samp(apart, 0.0).pvalue)


def welch(first: Sequence[float], second: Sequence[float]) -> float | None:
    """p of equal means, two-sided, without equal variances (Welch, 1947); None where one has fewer than two values."""
    from scipy.stats import ttest_ind

    if min(len(first), len(second)) < 2:
        return None
    scale = max(map(abs, (*first, *second)))
    if _same(first, scale) and _same(second, scale):
        return 1.0 if abs(first[0] - second[0]) <= _grain(scale) else 0.0
    return float(ttest_ind(first, second, equal_var=False).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for their number: each the smallest level at which Holm's procedure (1979) still rejects it."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    corrected, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = highest
    return corrected


def _same(values: Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.float64]], scale: float) -> bool:
    """True if they differ by no more than rounding: there is no spread to judge by."""
    return float(np.ptp(np.asarray(values))) <= _grain(scale)


def _grain(scale: float) -> float:
    return float(8 * np.finfo(np.float64).eps * scale)
