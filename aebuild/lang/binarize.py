"""Shares of [0, 1] as zeros and ones: a draw that is the same for the same sample, wherever it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1 << 20       # elements drawn at a time


def zeros_and_ones(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples [n, ...] of shares, each element a one with that probability; a sample's draws depend on its own values alone."""
    import numpy as np

    drawn = np.empty(shares.shape, np.float32)
    flat, out = shares.reshape(len(shares), -1), drawn.reshape(len(shares), -1)
    places = np.arange(flat.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for start in range(0, len(flat), rows := max(1, CHUNK // max(1, flat.shape[1]))):
        part = np.ascontiguousarray(flat[start:start + rows])
        seeds = _mixed(np.array([crc32(sample) for sample in part], np.uint64))
        out[start:start + rows] = part > (_mixed(seeds[:, None] + places) >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
    return drawn


def _mixed(z: NDArray[np.uint64]) -> NDArray[Any]:
    """The finaliser of SplitMix64 (Steele et al., 2014)."""
    import numpy as np

    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[Any] = z ^ (z >> np.uint64(31))
    return mixed
