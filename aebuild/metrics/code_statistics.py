"""What codes are made of: how entries and units are used, what coding them costs, how they depend on each other."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = 0.5               # what each entry is counted more than it was seen (Krichevsky and Trofimov, 1981)
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9}]
BLOCK = 1 << 22          # densities that are held at a time


def entropy_bits(counts: NDArray[Any]) -> float:
    """Of how often each of some kinds occurs, [K]."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def coded_bits(known: NDArray[np.int64], indices: NDArray[np.int64], kinds: int) -> float:
    """Bits of a row of indices [m, P] below `kinds` for an entropy coder that knows how often each occurs at its place in `known` [n, P].

    This is the cross entropy, which arithmetic coding reaches up to two bits for all rows together. Each index is counted half a time
    more than it was seen, so that one that is new has a length too.
    """
    bits = 0.0
    for place in range(indices.shape[1]):
        counts = np.bincount(known[:, place], minlength=kinds) + HALF
        bits -= float(np.log2(counts[indices[:, place]] / counts.sum()).mean())
    return bits


def lzma_bits(indices: NDArray[np.int64], kinds: int) -> float:
    """Bits of a row of indices [n, P] when all are written by xz's coder (LZMA2) as bytes, or more of them for more kinds.

    It need not know any frequencies, but it is made for texts: what it takes is an upper bound.
    """
    size = next(dtype for dtype in (np.uint8, np.uint16, np.uint32) if kinds - 1 <= np.iinfo(dtype).max)
    return 8 * len(lzma.compress(indices.astype(size).tobytes(), lzma.FORMAT_RAW, filters=FILTERS)) / len(indices)


def effective_dimension(codes: NDArray[Any]) -> float:
    """(Σλ)²/Σλ² of the covariance's eigenvalues λ of codes [n, D]: 1 on a line, D where all directions vary alike; NaN if none does."""
    centred = codes.astype(np.float64) - codes.mean(0, dtype=np.float64)
    small = centred.T @ centred if centred.shape[1] <= len(centred) else centred @ centred.T
    squares = float(np.square(small).sum())
    return float(np.trace(small)) ** 2 / squares if squares > 0 else float("nan")


def total_correlation(codes: NDArray[Any]) -> float:
    """-½·log det of the correlations of codes [n, D], in nats: what the units know of each other if they are Gaussian (Watanabe, 1960).

    Infinite where one unit is a linear function of others, NaN where one is constant or there are fewer than three samples.
    """
    if len(codes) < 3 or (np.ptp(codes, axis=0) == 0).any():
        return float("nan")
    found = np.atleast_2d(np.corrcoef(codes.astype(np.float64), rowvar=False))
    if len(codes) <= codes.shape[1] or np.linalg.eigvalsh(found)[0] < len(found) * np.finfo(np.float64).eps:
        return float("inf")
    return float(-0.5 * np.linalg.slogdet(found)[1])


def mixture_information(draws: NDArray[Any], means: NDArray[Any], log_variances: NDArray[Any]) -> float:
    """Nats that codes tell of which sample they are from, [n, D] each: a draw of each posterior, their means and log-variances.

    The estimate with the mixture of these n posteriors as the aggregate (Hoffman and Johnson, 2016) is at most log n.
    """
    z, mean, inverse = draws.astype(np.float64), means.astype(np.float64), np.exp(-log_variances.astype(np.float64))
    constant = (np.square(mean) * inverse + log_variances).sum(1)
    own = -0.5 * (np.square(z - mean) * inverse + log_variances).sum(1)
    height, found = max(1, BLOCK // len(z)), 0.0
    for start in range(0, len(z), height):
        part = z[start:start + height]
        density = -0.5 * (np.square(part) @ inverse.T - 2 * part @ (mean * inverse).T + constant)
        found += float((own[start:start + height] - logsumexp(density, axis=1)).sum())
    return found / len(z) + float(np.log(len(z)))
