"""How alike two sets of token sequences are, by the runs of tokens in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import jensenshannon

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ngrams(tokens: NDArray[Any], size: int) -> NDArray[Any]:
    """All runs of `size` tokens, [n·(T-size+1), size], from [n, T]; ValueError where sequences are shorter."""
    if tokens.shape[1] < size:
        raise ValueError(f"sequences of {tokens.shape[1]} tokens have no runs of {size}")
    return np.lib.stride_tricks.sliding_window_view(tokens, size, axis=1).reshape(-1, size)


def ngram_divergence(first: NDArray[Any], second: NDArray[Any], size: int) -> float:
    """The Jensen-Shannon divergence in bits, 0 to 1, between how often runs of tokens occur in two sets [n, T] and [m, T].

    That of two finite sets from one distribution is above 0, the more so the longer the runs are.
    """
    a, b = ngrams(first, size), ngrams(second, size)
    place = np.unique(np.concatenate([a, b]), axis=0, return_inverse=True)[1].ravel()
    kinds = int(place.max()) + 1
    counts = [np.bincount(part, minlength=kinds) for part in (place[:len(a)], place[len(a):])]
    return float(jensenshannon(counts[0], counts[1], base=2) ** 2)


def distinct_ngrams(tokens: NDArray[Any], size: int) -> float:
    """The share of runs of tokens that are different ones, above 0, at most 1 (Li et al., 2016)."""
    runs = ngrams(tokens, size)
    return len(np.unique(runs, axis=0)) / len(runs)
