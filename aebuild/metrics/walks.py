"""What a walk from one sample to another is like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def distance(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Between samples [..., *shape] that broadcast, over the last axes of `second`: Euclidean, or of symbols the share that differ."""
    if np.issubdtype(first.dtype, np.integer):
        return np.asarray((first != second).mean(-1))
    return np.asarray(np.sqrt(np.square(first.astype(np.float64) - second).sum(-1)))


def steps(walks: NDArray[Any]) -> NDArray[np.float64]:
    """How far each step goes, [n, steps - 1], of walks [n, steps, ...]."""
    flat = walks.reshape(*walks.shape[:2], -1)
    return distance(flat[:, 1:], flat[:, :-1])


def evenness(walks: NDArray[Any]) -> NDArray[np.float64]:
    """The longest step of each walk over its mean step: 1 where all are alike, the number of steps where it leaps; NaN if it stands."""
    far = steps(walks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(far.max(1) / far.mean(1))


def detour(walks: NDArray[Any]) -> NDArray[np.float64]:
    """The length of each walk over the distance of its ends, at least 1; NaN or infinite where it ends where it began."""
    flat = walks.reshape(*walks.shape[:2], -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(steps(walks).sum(1) / distance(flat[:, 0], flat[:, -1]))


def nearest(samples: NDArray[Any], others: NDArray[Any], at_once: int = 64) -> NDArray[np.float64]:
    """The distance of each sample [n, ...] to the nearest of the others [m, ...], [n]."""
    flat, held = samples.reshape(len(samples), -1), others.reshape(len(others), -1)
    if not np.issubdtype(flat.dtype, np.integer):
        from sklearn.metrics import pairwise_distances_argmin_min

        found: NDArray[np.float64] = pairwise_distances_argmin_min(flat, held)[1]
        return found
    return np.concatenate([distance(flat[start:start + at_once, None], held[None]).min(1) for start in range(0, len(flat), at_once)])
