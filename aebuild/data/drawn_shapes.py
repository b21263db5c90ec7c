"""Images of one shape each, drawn from known factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPES = ("square", "ellipse", "triangle")
SIZES, TURNS, PLACES = 6, 10, 16           # values of scale, orientation, and of x and y
SMALL, LARGE = 0.12, 0.24                  # half the extent of a shape, as a share of the image
MARGIN = 0.28                              # the nearest that a centre comes to the border: no shape is cut
CHUNK = 1 << 20                            # numbers drawn at a time


def drawn_factors(count: int, seed: int) -> NDArray[np.int64]:
    """Factors that are independent of each other, [count, 5]: shape, scale, orientation, x, y, each value as likely as the others."""
    draw = np.random.RandomState(seed)
    return np.stack([draw.randint(0, values, count) for values in (len(SHAPES), SIZES, TURNS, PLACES, PLACES)], 1).astype(np.int64)


def draw_shapes(factors: NDArray[np.int64], pixels: int) -> NDArray[np.uint8]:
    """White shapes on black, uint8 [n, 1, pixels, pixels], of factors [n, 5] as `drawn_factors` gives them.

    Each shape is turned by 0 to 81 degrees, a quarter turn, within which no two positions of any of the shapes look alike. What a border
    leaves of a pixel is grey.
    """
    images = np.empty((len(factors), 1, pixels, pixels), np.uint8)
    each = max(1, CHUNK // pixels**2)
    for shape, distance in enumerate((_square, _ellipse, _triangle)):
        rows = np.flatnonzero(factors[:, 0] == shape)
        for some in (rows[start:start + each] for start in range(0, len(rows), each)):
            radius, u, v = _seen_from_the_middle(factors[some], pixels)
            images[some, 0] = np.rint(255 * np.clip(0.5 - distance(u, v, radius), 0, 1)).astype(np.uint8)       # a pixel is 1 wide
    return images


def _seen_from_the_middle(factors: NDArray[np.int64], pixels: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The radius of each shape, [n, 1, 1], and the place of each pixel's middle along its two axes, [n, pixels, pixels]."""
    scale, turn, across, down = (column[:, None, None].astype(np.float32) for column in factors.T[1:])
    radius = pixels * (SMALL + (LARGE - SMALL) * scale / (SIZES - 1))
    angle = np.float32(np.pi / 2) * turn / TURNS
    middle_x, middle_y = (pixels * (MARGIN + (1 - 2 * MARGIN) * place / (PLACES - 1)) for place in (across, down))
    ticks = np.arange(pixels, dtype=np.float32) + np.float32(0.5)
    x, y = ticks[None, None, :] - middle_x, ticks[None, :, None] - middle_y
    return radius, np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _square(u: NDArray[Any], v: NDArray[Any], radius: NDArray[Any]) -> NDArray[Any]:
    """Pixels from the nearest side, negative inside; near corners a little too few."""
    return np.asarray(np.maximum(np.abs(u), np.abs(v)) - 0.8 * radius)


def _ellipse(u: NDArray[Any], v: NDArray[Any], radius: NDArray[Any]) -> NDArray[Any]:
    """Pixels from the border of an ellipse half as wide as long, to first order."""
    level, slope = np.hypot(u, 2 * v) / radius, np.hypot(u, 4 * v) / radius**2
    return np.asarray(level * (level - 1) / np.maximum(slope, 1e-9))


def _triangle(u: NDArray[Any], v: NDArray[Any], radius: NDArray[Any]) -> NDArray[Any]:
    """Pixels from the nearest side of a triangle with equal sides and corners at the radius."""
    slanted = np.float32(3**0.5 / 2) * np.abs(u) - v / 2
    return np.asarray(np.maximum(v, slanted) - radius / 2)
