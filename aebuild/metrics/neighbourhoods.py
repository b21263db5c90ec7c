"""Who lies beside whom: neighbourhoods kept by a map, neighbours of one class, clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 256          # samples whose distances to all are held at a time
STEP = 1e-13         # of the largest squared length: squared distances that are not so far apart are equal


def purity(codes: NDArray[Any], labels: NDArray[np.int64], neighbours: int) -> float:
    """The share of the k nearest other codes [n, D] that have the same label, mean over samples; ValueError for fewer samples.

    Where more codes are equally near than there is room for, it is the mean over all ways to choose of them.
    """
    if not 1 <= neighbours < len(codes):
        raise ValueError(f"{neighbours} neighbours need at least {neighbours + 1} samples, not {len(codes)}")
    found = 0.0
    for row, keys in enumerate(_distances(codes)):
        near, shares = _nearest(keys, neighbours)
        found += float(shares[labels[near] == labels[row]].sum())
    return found / (len(codes) * neighbours)


def tied(codes: NDArray[Any], neighbours: int) -> int:
    """Of how many codes [n, D] it is not said which others are their k nearest, since more of them are equally near."""
    return sum(len(_nearest(keys, neighbours)[0]) > neighbours for keys in _distances(codes))


def _distances(points: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Of each row of [n, D] what grows with the distance to all, [n]: equal where distances are but for rounding; infinite to itself."""
    x = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    lengths = np.square(x).sum(1)
    step = STEP * max(float(lengths.max()), np.finfo(np.float64).tiny / STEP)
    for start in range(0, len(x), BLOCK):
        block = slice(start, start + BLOCK)
        for row, keys in enumerate(np.round((lengths[block, None] + lengths - 2 * x[block] @ x.T) / step), start):
            keys[row] = np.inf
            yield keys


def _nearest(keys: NDArray[np.float64], neighbours: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows that may be among the k nearest, and in what share of the ways to choose among equals each is."""
    last = np.partition(keys, neighbours - 1)[neighbours - 1]
    nearer, equal = np.flatnonzero(keys < last), np.flatnonzero(keys == last)
    return np.concatenate([nearer, equal]), np.repeat([1.0, (neighbours - len(nearer)) / len(equal)], [len(nearer), len(equal)])


def _beyond(keys: NDArray[np.float64], rows: NDArray[np.int64], neighbours: int) -> NDArray[np.float64]:
    """How many ranks each of these rows lies behind the k-th, at least 0; of equals the mean over their ranks."""
    ordered = np.sort(keys)
    first, last = (np.searchsorted(ordered, keys[rows], side) for side in ("left", "right"))           # ranks first + 1 to last
    behind = np.maximum(last - neighbours, 0), np.maximum(first - neighbours, 0)
    sums = [each * (each + 1) / 2 for each in behind]
    return np.asarray((sums[0] - sums[1]) / (last - first))


def purity_by_chance(labels: NDArray[np.int64]) -> float:
    """The share of pairs of different samples that have the same label."""
    counts, whole = np.unique(labels, return_counts=True)[1].astype(np.float64), len(labels)
    return float((counts * (counts - 1)).sum() / (whole * (whole - 1)))


def trustworthiness(original: NDArray[Any], mapped: NDArray[Any], neighbours: int) -> float:
    """1 where the neighbours in `mapped` [n, d] are neighbours in `original` [n, D] too (Venna and Kaski, 2001); about 0.5 by chance.

    Among equals it is the mean over all ways to order them. ValueError unless there are more than twice as many samples as neighbours.
    """
    if not 2 * neighbours < len(original):
        raise ValueError(f"{neighbours} neighbours need more than {2 * neighbours} samples, not {len(original)}")
    behind = 0.0
    for before, after in zip(_distances(original), _distances(mapped), strict=True):
        near, shares = _nearest(after, neighbours)
        behind += float(shares @ _beyond(before, near, neighbours))
    count = len(original)
    return 1 - 2 * behind / (count * neighbours * (2 * count - 3 * neighbours - 1))


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
