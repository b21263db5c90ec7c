"""How many numbers data have locally, by two published estimators that look at distances to near neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 20                 # different samples: fewer say nothing
DISCARDED = 0.1            # share of the largest ratios, which the paper leaves out of the fit
NEAREST, FARTHEST = 10, 20      # neighbours over which the likelihood's estimates are averaged, as in its paper


def two_nn(samples: NDArray[np.floating]) -> float | None:
    """The intrinsic dimension of samples [n, D] by TwoNN (Facco, d'Errico, Rodriguez, Laio, 2017); None of too few different ones.

    Of points that are locally uniform the ratio μ of the distances to the second and first neighbour has the distribution 1 − μ^−d. The
    slope of −log(1 − F(μ)) over log μ is d, fitted through the origin without the largest tenth.
    """
    distances = _distances(samples, 2)
    if distances is None:
        return None
    ratios = np.sort(distances[:, 1] / distances[:, 0])
    kept = int(len(ratios) * (1 - DISCARDED))
    x, y = np.log(ratios[:kept]), -np.log1p(-np.arange(1, kept + 1) / len(ratios))
    square = float(x @ x)
    return float(x @ y) / square if square > 0 else None


def levina_bickel(samples: NDArray[np.floating]) -> float | None:
    """The maximum likelihood estimate for samples [n, D] (Levina and Bickel, 2005); None of too few different ones.

    For k neighbours it is the inverse of the mean of log(T_k / T_j) over the nearer ones; its inverses are averaged over the samples
    (MacKay and Ghahramani, 2005), the results over k from 10 to 20, fewer where there are fewer samples.
    """
    distances = _distances(samples, FARTHEST)
    if distances is None:
        return None
    logs = np.log(distances)
    estimates = []
    for k in range(min(NEAREST, logs.shape[1]), logs.shape[1] + 1):
        inverse = (logs[:, k - 1:k] - logs[:, :k - 1]).sum(axis=1).mean() / (k - 1)
        estimates.append(1 / inverse if inverse > 0 else np.inf)
    found = float(np.mean(estimates))
    return found if np.isfinite(found) else None


def _distances(samples: NDArray[np.floating], neighbours: int) -> NDArray[np.float64] | None:
    """Distances of each different sample to its nearest others, [n, neighbours] ascending and above zero."""
    from sklearn.neighbors import NearestNeighbors

    rows = np.asarray(samples, np.float64).reshape(len(samples), -1)
    different = rows[list({row.tobytes(): number for number, row in enumerate(rows)}.values())]
    if len(different) < LEAST:
        return None
    count = min(neighbours, len(different) - 1)
    found: NDArray[np.float64] = NearestNeighbors(n_neighbors=count).fit(different).kneighbors()[0]
    return np.maximum(found, np.finfo(np.float64).tiny)
