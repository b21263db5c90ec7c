"""What a sample of the data tells about the model it wants: values, structure, how many."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Splits
    from aebuild.lang.values import Range, Value

SPECTRUM = 1_000         # samples that the principal components are computed of
LARGEST = 1 << 25        # numbers of them
EDGE = 0.1               # of the range: values so close to an end count as black or white
TWO = 0.6                # share of such values from which on data are two-valued rather than graded


@dataclass(frozen=True)
class SampleStatistics:
    """Figures of the training samples that were looked at; `samples` is how many there are in all.

    `spectrum` is the share of the variance that so many principal components keep, [1 component, 2 components, ...].
    """

    value: Value
    bounds: Range
    samples: int
    looked_at: int
    kinds: int                     # different values
    binary: bool                   # nothing but 0 and 1
    two_valued: float              # share of values near the ends of the range
    spectrum: tuple[float, ...]
    classes: tuple[tuple[str, int], ...]      # names and counts of labels, where there are some

    @property
    def size(self) -> int:
        """Numbers of a sample."""
        return prod(self.value.shape)

    def components(self, share: float) -> int:
        """Principal components that keep this share of the variance."""
        return next((number for number, kept in enumerate(self.spectrum, 1) if kept >= share), len(self.spectrum))


def statistics_of(splits: Splits, samples: int) -> SampleStatistics:
    """The figures of loaded splits, whose training part may be cut short; scaled as they will be."""
    info, train = splits.info, splits.train
    rows = max(1, min(len(train), SPECTRUM, LARGEST // prod(info.value.shape)))
    chosen = np.linspace(0, len(train) - 1, rows).round().astype(np.int64)
    x = train.inputs.scaled(train.inputs.take(chosen)).reshape(rows, -1)
    some = x[:256]
    return SampleStatistics(info.value, info.range, samples, len(train), len(np.unique(some)), bool(np.isin(x, (0, 1)).all()),
                            _two_valued(some, info.range), _spectrum(x) if x.dtype.kind == "f" else (), _classes(splits))


def _two_valued(x: NDArray[Any], bounds: Range) -> float:
    """The share of values that lie near an end of their range; 0 where they have none."""
    low, high = bounds.low, bounds.high
    if low is None or high is None:
        return 0.0
    return float((np.minimum(np.abs(x - low), np.abs(x - high)) < EDGE * (high - low)).mean())


def _spectrum(x: NDArray[Any]) -> tuple[float, ...]:
    """Shares of variance [components], cumulated; by the smaller of the two matrices of products."""
    centred = np.asarray(x, np.float64) - x.mean(axis=0, dtype=np.float64)
    products = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    variances = np.clip(np.linalg.eigvalsh(products)[::-1], 0, None)
    whole = float(variances.sum())
    return tuple((np.cumsum(variances) / whole).tolist()) if whole > 0 else ()


def _classes(splits: Splits) -> tuple[tuple[str, int], ...]:
    labels, names = splits.train.labels, splits.info.class_names
    if labels is None or names is None:
        return ()
    return tuple((name, int(np.sum(labels == number))) for number, name in enumerate(names))
