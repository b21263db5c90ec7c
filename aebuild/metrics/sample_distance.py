"""How far two sets of samples are apart, from the distances between their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Distances:
    """Euclidean distances between real samples and others [n, m], and within each set, [n, n] and [m, m]."""

    between: NDArray[np.float64]
    real: NDArray[np.float64]
    others: NDArray[np.float64]


def distances(real: NDArray[Any], others: NDArray[Any], known: NDArray[np.float64] | None = None) -> Distances:
    """All distances between features [n, D] and [m, D]; `known` are those within the real ones, where they were computed before."""
    real, others = real.astype(np.float64), others.astype(np.float64)
    return Distances(cdist(real, others), cdist(real, real) if known is None else known, cdist(others, others))


def median_distance(within: NDArray[np.float64]) -> float:
    """The median over all pairs of different rows, from [n, n]; 0 where most are the same."""
    return float(np.median(within[np.triu_indices(len(within), 1)]))


def mmd2(held: Distances, bandwidth: float) -> float:
    """The squared maximum mean discrepancy under exp(-d²/(2·bandwidth²)), unbiased: 0 on average for one distribution (Gretton, 2012).

    It can be below 0 by chance. ValueError for a set of fewer than two samples, or a bandwidth that is not above 0.
    """
    if bandwidth <= 0:
        raise ValueError(f"the bandwidth must be above 0, not {bandwidth:g}")
    _two(held)
    between, real, others = (np.exp(-np.square(each / bandwidth) / 2) for each in (held.between, held.real, held.others))
    return float(_mean_of_pairs(real) + _mean_of_pairs(others) - 2 * between.mean())


def energy_distance(held: Distances) -> float:
    """2·E|X-Y| - E|X-X'| - E|Y-Y'|, unbiased, in units of the features (Székely and Rizzo, 2013); 0 on average for one distribution.

    ValueError for a set of fewer than two samples.
    """
    _two(held)
    return float(2 * held.between.mean() - _mean_of_pairs(held.real) - _mean_of_pairs(held.others))


def precision_recall(held: Distances, neighbours: int) -> tuple[float, float]:
    """The share of others within the k-nearest-neighbour ball of some real sample, and the reverse (Kynkäänniemi et al., 2019).

    ValueError for a set of no more samples than neighbours.
    """
    precision = (held.between <= _radii(held.real, neighbours)[:, None]).any(0).mean()
    recall = (held.between <= _radii(held.others, neighbours)[None]).any(1).mean()
    return float(precision), float(recall)


def density_coverage(held: Distances, neighbours: int) -> tuple[float, float]:
    """How many balls of real samples another lies in, over k, and the share of those balls that hold one (Naeem et al., 2020).

    Density is 1 on average for one distribution and may be above it. Whoever lies on a ball's edge is in it. ValueError as above.
    """
    inside = held.between <= _radii(held.real, neighbours)[:, None]
    return float(inside.sum(0).mean() / neighbours), float(inside.any(1).mean())


def _radii(within: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """The distance of each row to its k-th nearest other row, [n]."""
    if not 1 <= neighbours < len(within):
        raise ValueError(f"{neighbours} neighbours need at least {neighbours + 1} samples, not {len(within)}")
    apart = within.copy()
    np.fill_diagonal(apart, np.inf)
    return np.asarray(np.partition(apart, neighbours - 1, axis=1)[:, neighbours - 1])


def _mean_of_pairs(within: NDArray[np.float64]) -> float:
    """The mean of all that are not on the diagonal."""
    count = len(within)
    return float((within.sum() - np.trace(within)) / (count * (count - 1)))


def _two(held: Distances) -> None:
    if min(held.between.shape) < 2:
        raise ValueError("a distance between sets needs two samples of each")
