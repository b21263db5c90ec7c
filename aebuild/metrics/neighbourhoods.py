"""Who lies beside whom: neighbourhoods kept by a map, neighbours of one class, clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def purity(codes: NDArray[Any], labels: NDArray[np.int64], neighbours: int) -> float:
    """The share of the k nearest other codes [n, D] that have the same label, mean over samples; ValueError for fewer samples."""
    from sklearn.neighbors import NearestNeighbors

    if not 1 <= neighbours < len(codes):
        raise ValueError(f"{neighbours} neighbours need at least {neighbours + 1} samples, not {len(codes)}")
    found = NearestNeighbors(n_neighbors=neighbours).fit(codes).kneighbors(return_distance=False)
    return float((labels[found] == labels[:, None]).mean())


def purity_by_chance(labels: NDArray[np.int64]) -> float:
    """The share of pairs of different samples that have the same label."""
    counts, whole = np.unique(labels, return_counts=True)[1].astype(np.float64), len(labels)
    return float((counts * (counts - 1)).sum() / (whole * (whole - 1)))


def trustworthiness(original: NDArray[Any], mapped: NDArray[Any], neighbours: int) -> float:
    """1 where the neighbours in `mapped` [n, d] are neighbours in `original` [n, D] too (Venna and Kaski, 2001); about 0.5 by chance.

    ValueError unless there are more than twice as many samples as neighbours.
    """
    from sklearn.manifold import trustworthiness as measured

    if not 2 * neighbours < len(original):
        raise ValueError(f"{neighbours} neighbours need more than {2 * neighbours} samples, not {len(original)}")
    return float(measured(original, mapped, n_neighbors=neighbours))


def continuity(original: NDArray[Any], mapped: NDArray[Any], neighbours: int) -> float:
    """1 where neighbours in `original` stay neighbours in `mapped`: trustworthiness the other way round."""
    return trustworthiness(mapped, original, neighbours)


def cluster_figures(codes: NDArray[Any], labels: NDArray[np.int64], seed: int) -> dict[str, float]:
    """How k-means on codes [n, D], with as many clusters as there are labels, finds these again, and how apart the clusters are.

    `adjusted_rand` (Hubert and Arabie, 1985) is 0 by chance, `mutual_information` is normalised by the mean entropy, `silhouette`
    (Rousseeuw, 1987) of the clusters lies in [-1, 1]. ValueError where there are fewer than two labels, or codes than labels.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

    kinds, different = len(np.unique(labels)), len(np.unique(codes, axis=0))
    if kinds < 2:
        raise ValueError("all labels are the same")
    if different < kinds or len(codes) <= kinds:
        raise ValueError(f"{different:,} different codes make no {kinds:,} clusters")
    found = KMeans(kinds, n_init=4, random_state=seed).fit_predict(codes)
    return {"adjusted_rand": float(adjusted_rand_score(labels, found)),
            "mutual_information": float(normalized_mutual_info_score(labels, found)),
            "silhouette": float(silhouette_score(codes, found))}
