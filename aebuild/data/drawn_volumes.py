"""Volumes with one solid each, drawn from known factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOLIDS = ("ball", "box", "rod")
SIZES, PLACES = 5, 8                       # values of size, and of x, y and z
SMALL, LARGE = 0.1, 0.2                    # half the extent of a solid, as a share of the volume's edge
MARGIN = 0.25                              # the nearest that a centre comes to the border: no solid is cut
ROD = 0.5                                  # a rod's half width, as a share of its half length
CHUNK = 1 << 20                            # numbers drawn at a time


def drawn_volume_factors(count: int, seed: int) -> NDArray[np.int64]:
    """Factors that are independent of each other, [count, 5]: solid, size, x, y, z, each value as likely as the others."""
    draw = np.random.RandomState(seed)
    return np.stack([draw.randint(0, values, count) for values in (len(SOLIDS), SIZES, PLACES, PLACES, PLACES)], 1).astype(np.int64)


def draw_volumes(factors: NDArray[np.int64], edge: int) -> NDArray[np.uint8]:
    """White solids on black, uint8 [n, 1, edge, edge, edge], axes z, y, x, of factors [n, 5] as `drawn_volume_factors` gives them.

    A rod stands along z. What a border leaves of a voxel is grey.
    """
    volumes = np.empty((len(factors), 1, edge, edge, edge), np.uint8)
    each = max(1, CHUNK // edge**3)
    for start in range(0, len(factors), each):
        solid, size, x, y, z = factors[start:start + each].T[..., None, None, None]
        half = (edge * (SMALL + (LARGE - SMALL) * size / (SIZES - 1))).astype(np.float32)
        ticks = np.arange(edge, dtype=np.float32) + np.float32(0.5)
        away = [np.abs(axis - edge * (MARGIN + (1 - 2 * MARGIN) * place / (PLACES - 1)).astype(np.float32))
                for axis, place in ((ticks[:, None, None], z), (ticks[:, None], y), (ticks, x))]
        volumes[start:start + each, 0] = np.rint(255 * _inside(solid, half, away)).astype(np.uint8)
    return volumes


def _inside(solid: NDArray[np.int64], half: NDArray[np.float32], away: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The share of each voxel that is inside of its solid, from how far its middle is from the solid's along z, y and x."""
    z, y, x = away
    ball = _covered(half - np.sqrt(z**2 + y**2 + x**2))
    box = _covered(half - z) * _covered(half - y) * _covered(half - x)
    rod = _covered(half - z) * _covered(ROD * half - np.hypot(y, x))
    return np.asarray(np.select([solid == 0, solid == 1], [ball, box], rod), np.float32)


def _covered(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of a voxel that lies on the inner side of a border, `depth` voxels inside of it."""
    return np.asarray(np.clip(depth + 0.5, 0, 1))
