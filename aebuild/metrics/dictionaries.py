"""How well learned directions are those that data were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def best_cosines(truth: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """Of each true direction, [F, D], its cosine to the nearest of those found, [K, D]; those of no length are near to none."""
    lengths = np.linalg.norm(found, axis=1)
    unit = found[lengths > 0] / lengths[lengths > 0, None]
    true = truth / np.linalg.norm(truth, axis=1, keepdims=True)
    if not len(unit):
        return np.zeros(len(truth))
    best: NDArray[np.float64] = (true.astype(np.float64) @ unit.T.astype(np.float64)).max(1)
    return best


def explained_variance(x: NDArray[Any], back: NDArray[Any], known: NDArray[np.bool_] | None = None) -> float:
    """1 − Σ‖x − x̂‖² / Σ‖x − x̄‖² over samples [n, ...]: 1 where all comes back, 0 for the mean; of what is known, if some is not.

    NaN where the data do not vary.
    """
    flat = x.reshape(len(x), -1).astype(np.float64)
    real = np.ones(flat.shape, bool) if known is None else known.reshape(flat.shape)
    mean = np.where(real, flat, 0).sum(0) / np.maximum(real.sum(0), 1)
    error, spread = (np.square(flat - other).sum(where=real) for other in (back.reshape(flat.shape), mean))
    return float(1 - error / spread) if spread > 0 else float("nan")
