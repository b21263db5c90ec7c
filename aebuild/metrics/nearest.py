"""The nearest of many samples, and whether new ones are too near to those that were trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 1 << 24          # distances that are held at a time


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest row of each, [n], and its distance, [n]."""

    rows: NDArray[np.int64]
    distance: NDArray[np.float64]


def nearest(samples: NDArray[Any], others: NDArray[Any]) -> Nearest:
    """The nearest of `others` [m, ...] to each sample [n, ...] and its Euclidean distance; the first one of equals.

    The rows are found in single precision, the distances to them are exact. Of whole numbers, which are tokens, the distance is the
    share of places that differ.
    """
    x, y = samples.reshape(len(samples), -1), others.reshape(len(others), -1)
    if np.issubdtype(samples.dtype, np.integer):
        parts = [cdist(block, y, "hamming") for block in _blocks(x, len(y))]
        return Nearest(np.concatenate([part.argmin(1) for part in parts]), np.concatenate([part.min(1) for part in parts]))
    middle = y.mean(0, dtype=np.float64).astype(np.float32)
    centred, queries = (rows.astype(np.float32) - middle for rows in (y, x))
    lengths = np.square(centred).sum(1)
    rows = np.concatenate([(lengths - 2 * (block @ centred.T)).argmin(1) for block in _blocks(queries, len(y))])
    return Nearest(rows, np.sqrt(np.square(x.astype(np.float64) - y[rows]).sum(1)))


def _blocks(rows: NDArray[Any], width: int) -> list[NDArray[Any]]:
    height = max(1, BLOCK // max(1, width))
    return [rows[start:start + height] for start in range(0, len(rows), height)]


def nearness_ratio(samples: NDArray[np.float64], held_back: NDArray[np.float64]) -> float:
    """The median distance of samples to the training data over that of samples that were held back; NaN if the latter is 0."""
    usual = float(np.median(held_back))
    return float(np.median(samples)) / usual if usual > 0 else float("nan")


def share_closer(first: NDArray[np.float64], second: NDArray[np.float64], chance: float) -> float:
    """The share of samples whose first distance is below the second; of equals this share counts that is so by `chance`."""
    return float((first < second).mean() + chance * (first == second).mean())
