"""Anomaly scores that need no model: what any trained one must beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Score = Callable[["NDArray[np.float32]"], "NDArray[np.float64]"]       # rows [n, D] to scores [n], higher for what is more unusual


def components_of(bits: float, samples: int, size: int) -> int:
    """Principal components that take the same space as the code: one float32 number each 32 bits."""
    return max(1, min(ceil(bits / 32), samples, size))


def simple_scores(train: NDArray[np.float32], components: int, neighbours: int) -> Mapping[str, Score]:
    """Scores by name, fitted to training samples [n, D], which may be few.

    `pca` is the squared error of so many principal components, `norm` the length, `knn` the distance to the last of the nearest
    `neighbours` training samples, `forest` how soon random cuts isolate a sample (isolation forest, Liu et al., 2008).
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors

    with np.errstate(invalid="ignore", divide="ignore"):            # of the shares of a variance that constant data do not have
        pca = PCA(components, random_state=0).fit(train)
    near = NearestNeighbors(n_neighbors=min(neighbours, len(train))).fit(train)
    forest = IsolationForest(random_state=0).fit(train)

    def error(x: NDArray[np.float32]) -> NDArray[np.float64]:
        return _double(np.square(x - pca.inverse_transform(pca.transform(x))).sum(1))

    return {"pca": error, "norm": lambda x: _double(np.linalg.norm(x.astype(np.float64), axis=1)),
            "knn": lambda x: _double(near.kneighbors(x)[0][:, -1]), "forest": lambda x: _double(-forest.score_samples(x))}


def _double(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64)
