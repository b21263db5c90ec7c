"""What reconstructions of ordinary samples miss: mean and covariance of the residuals, and the distance from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.modules.outputs import Batch

FULL = 512         # elements of the largest sample whose residuals get a full covariance


@dataclass(frozen=True)
class Residuals:
    """Mean [E] and variance [E] of the residuals of samples of E elements, and with full covariance its whitening W [E, E].

    W·Wᵀ is the inverse of the covariance, which is shrunk towards a multiple of the identity (Chen et al., 2010).
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    whitening: NDArray[np.float64] | None

    def distance(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared Mahalanobis distance of residuals [n, E], [n]."""
        away = residuals - self.mean
        scaled = away @ self.whitening if self.whitening is not None else away / np.sqrt(self.variance)
        found: NDArray[np.float64] = np.square(scaled).sum(1)
        return found

    def standardised(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared residuals [n, E] in units of their variance."""
        found: NDArray[np.float64] = np.square(residuals - self.mean) / self.variance
        return found


def fit_residuals(batches: Iterable[NDArray[np.float64]]) -> Residuals:
    """From residuals [n, E] batch by batch, in one pass."""
    count, total, square = 0, None, None
    for batch in batches:
        full = batch.shape[1] <= FULL
        if total is None or square is None:
            total, square = np.zeros(batch.shape[1]), np.zeros((batch.shape[1],) * 2 if full else batch.shape[1])
        count += len(batch)
        total += batch.sum(0)
        square += batch.T @ batch if full else np.square(batch).sum(0)
    assert total is not None and square is not None, "there are no residuals"
    mean = total / count
    if square.ndim == 1:
        return Residuals(mean, _floored(square / count - np.square(mean)), None)
    covariance = square / count - np.outer(mean, mean)
    values, axes = np.linalg.eigh(shrunk(covariance, count))
    return Residuals(mean, _floored(covariance.diagonal()), axes / np.sqrt(_floored(values)))


def shrunk(covariance: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """A covariance of `count` samples nearer to a multiple of the identity, by oracle approximating shrinkage (Chen et al., 2010)."""
    size = len(covariance)
    middle, power = np.trace(covariance) / size, np.mean(np.square(covariance))
    spread = (count + 1) * (power - middle ** 2 / size)
    share = 1.0 if spread <= 0 else min(1.0, (power + middle ** 2) / spread)
    found: NDArray[np.float64] = (1 - share) * covariance + share * middle * np.eye(size)
    return found


def _floored(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variances that can be divided by: an element that never varies would make every rounding error infinitely unusual."""
    found: NDArray[np.float64] = np.maximum(variance, max(1e-12, 1e-9 * float(variance.max())))
    return found


@dataclass(frozen=True)
class Ends:
    """Series of unequal length: how many places samples have, and how many of them are real, [n]."""

    places: int
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, batch: Batch) -> Ends | None:
        """Those of a batch; None where all places are real."""
        return None if batch.lengths is None else cls(batch.target.shape[1], batch.lengths.cpu().numpy())

    @property
    def real(self) -> NDArray[np.bool_]:
        """True at the real places, [n, places]."""
        return np.asarray(np.arange(self.places) < self.lengths[:, None])


def real_steps(apart: NDArray[np.float64], ends: Ends | None) -> NDArray[np.float64]:
    """Residuals [n, E] as what their statistics are of: the samples, or of series of unequal length their real steps, [steps, D].

    A place that few series reach has no statistics of its own.
    """
    return apart if ends is None else apart.reshape(len(apart), ends.places, -1)[ends.real]


def over_steps(judge: Callable[[NDArray[np.float64]], NDArray[np.float64]], apart: NDArray[np.float64], ends: Ends | None, *,
               each: bool = False) -> NDArray[np.float64]:
    """What `judge` says of samples by their residuals [n, E]; of series of unequal length the mean over the real steps, or `each`."""
    found = judge(real_steps(apart, ends))
    if ends is None:
        return found
    spread = np.zeros((len(apart), ends.places, *found.shape[1:]))
    spread[ends.real] = found
    return spread if each else np.asarray(spread.sum(1) / ends.lengths)
