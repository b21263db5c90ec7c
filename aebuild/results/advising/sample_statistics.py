"""What a sample of the data tells about the model it wants: values, structure, how many."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.lang.values import Grid, Sequence, Tokens
from aebuild.results.advising.intrinsic_dimension import levina_bickel, two_nn

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

    `spectrum` is the share of the variance that so many principal components keep, [1 component, 2 components, ...]. `two_nn` and
    `levina_bickel` are estimates of the intrinsic dimension, None of tokens and where too few samples differ. `local` is the correlation
    of a value with its neighbour, over all axes of a grid or along a sequence, without the mean of each place: None where nothing is
    neighbouring.
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
    two_nn: float | None = None
    levina_bickel: float | None = None
    local: float | None = None
    missing: float = 0.0                      # share of values that are missing
    lengths: tuple[int, int, int] | None = None       # shortest, median and longest sample, where they differ

    @property
    def size(self) -> int:
        """Numbers of a sample."""
        return prod(self.value.shape)

    @property
    def intrinsic(self) -> float | None:
        """The mean of both estimates of the intrinsic dimension; None where there is none."""
        known = [found for found in (self.two_nn, self.levina_bickel) if found is not None]
        return sum(known) / len(known) if known else None

    def components(self, share: float) -> int:
        """Principal components that keep this share of the variance."""
        return next((number for number, kept in enumerate(self.spectrum, 1) if kept >= share), len(self.spectrum))


def statistics_of(splits: Splits, samples: int) -> SampleStatistics:
    """The figures of loaded splits, whose training part may be cut short; scaled as they will be."""
    info, train = splits.info, splits.train
    rows = max(1, min(len(train), SPECTRUM, LARGEST // prod(info.value.shape)))
    chosen = np.linspace(0, len(train) - 1, rows).round().astype(np.int64)
    shaped = train.inputs.scaled(train.inputs.take(chosen))
    x = shaped.reshape(rows, -1)
    some, real = x[:256], x.dtype.kind == "f"
    counted = train.beside.get("mask")
    return SampleStatistics(
        info.value, info.range, samples, len(train), len(np.unique(some)), bool(np.isin(x, (0, 1)).all()),
        _two_valued(some, info.range) if real else 0.0,
        _spectrum(x) if real else (), _classes(splits), two_nn(x) if real else None, levina_bickel(x) if real else None,
        _local(shaped, info.value), 0.0 if counted is None else float(1 - np.mean(counted)), _lengths(train.lengths))


def _local(x: NDArray[Any], value: Value) -> float | None:
    """The correlation of neighbours in samples [n, ...], without the mean of each place; of several axes the mean."""
    if isinstance(value, Tokens) or not isinstance(value, Grid | Sequence):
        return None
    centred = np.asarray(x, np.float64) - x.mean(axis=0, dtype=np.float64)
    first = 2 if isinstance(value, Grid) else 1
    found = []
    for axis in range(first, first + len(value.places)):
        before, behind = (np.take(centred, range(start, centred.shape[axis] + start - 1), axis=axis) for start in (0, 1))
        spread = float(np.sqrt(np.square(before).sum() * np.square(behind).sum()))
        if spread > 0:
            found.append(float((before * behind).sum()) / spread)
    return sum(found) / len(found) if found else None


def _lengths(lengths: NDArray[np.int64] | None) -> tuple[int, int, int] | None:
    return None if lengths is None else (int(lengths.min()), int(np.median(lengths)), int(lengths.max()))


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
