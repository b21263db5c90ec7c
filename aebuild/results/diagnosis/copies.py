"""Samples of one set that are copies, or nearly, of samples of another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BY_CHANCE = 1e-3            # share of samples that may come so near to another one by chance
NEAREST = 0.25              # of the usual distance: what is farther is no copy in any number of dimensions
SAME = 1e-6                 # of the size of a sample: what differs by less is the same
LEAST, MOST = 200, 2_000    # samples that are compared
WORK = 2e10                 # multiplications that a comparison may take


@dataclass(frozen=True)
class Copies:
    """Pairs (sample, training sample, distance) of copies, nearest first, among so many `compared` samples.

    `usual` is the median distance of a training sample to the next one, `radius` the distance below which two samples are copies,
    `dimension` that of the cloud of training samples.
    """

    pairs: tuple[tuple[int, int, float], ...]
    compared: int
    usual: float
    radius: float
    dimension: float

    @property
    def share(self) -> float:
        """The share of the compared samples that are copies."""
        return len(self.pairs) / self.compared if self.compared else 0.0


def copies(training: NDArray[Any], judged: NDArray[Any], *, exact: bool = False) -> Copies:
    """The rows of `judged` [m, D] that lie nearer to a row of `training` [n, D] than chance would have it; `exact`: that are the same.

    In d dimensions a share of about ln 2 · ρ^d of the samples has a neighbour within ρ of the median distance, if samples are drawn
    independently. The radius is where that share is BY_CHANCE. d is estimated by the ratio of the distances of the second and the first
    neighbour, whose logarithm has the median ln 2 / d (Facco et al., 2017). Samples without any variation inside (a black picture) count
    as none.
    """
    from sklearn.neighbors import NearestNeighbors

    kept = np.flatnonzero(np.ptp(judged, axis=1) > 0)
    most = int(min(MOST, max(LEAST, WORK / max(1, training.size))))
    kept = kept[np.linspace(0, len(kept) - 1, min(len(kept), most)).round().astype(np.int64)] if len(kept) else kept
    if not len(kept) or len(training) < 3:
        return Copies((), 0, 0.0, 0.0, math.nan)
    near = NearestNeighbors(n_neighbors=3).fit(training)
    some = training[np.linspace(0, len(training) - 1, min(len(training), most)).round().astype(np.int64)]
    same = SAME * float(np.sqrt(np.square(some, dtype=np.float64).sum(1).mean()))
    usual, dimension = _neighbourhood(near.kneighbors(some)[0], same)
    near_by_chance = (BY_CHANCE / math.log(2)) ** (1 / dimension) if math.isfinite(dimension) else 0.0
    radius = same if exact else max(same, usual * min(NEAREST, near_by_chance))
    distances, indices = near.kneighbors(judged[kept], 1)
    found = np.flatnonzero(distances[:, 0] <= radius)
    pairs = sorted(((int(kept[i]), int(indices[i, 0]), float(distances[i, 0])) for i in found), key=lambda pair: pair[2])
    return Copies(tuple(pairs), len(kept), usual, radius, dimension)


def _neighbourhood(distances: NDArray[Any], same: float) -> tuple[float, float]:
    """The median distance to the next sample and the dimension, from distances [n, 3] to itself and two neighbours."""
    first, second = distances[:, 1], distances[:, 2]
    apart = first > same
    if apart.sum() < 10:
        return 0.0, math.nan
    growth = float(np.median(np.log(second[apart] / first[apart])))
    return float(np.median(first[apart])), math.log(2) / growth if growth > 0 else math.inf


def repeats_by_chance(rows: NDArray[Any]) -> bool:
    """True if rows [n, D] have so few different values that independent ones are often the same.

    The entropy of the columns, taken as independent, is then below three times that of the rows' number.
    """
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(np.int64)]
    bits, enough = 0.0, 3 * math.log2(max(2, len(rows)))
    for column in some.T:
        share = np.unique(column, return_counts=True)[1] / len(some)
        bits -= float((share * np.log2(share)).sum())
        if bits > enough:
            return False
    return True
