"""Vectors that are sparse sums of known directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 1 << 22            # numbers drawn at a time


def drawn_dictionary(features: int, size: int, seed: int) -> NDArray[np.float32]:
    """Directions of norm 1, [features, size], each as likely as any other."""
    directions = np.random.RandomState(seed).standard_normal((features, size))
    found: NDArray[np.float32] = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    return found


def draw_activations(count: int, dictionary: NDArray[np.float32], active: float, noise: float, seed: int) -> NDArray[np.float32]:
    """Samples [count, size] in which `active` directions take part on average, each as likely, with a strength from 0.5 to 1.5.

    `noise` is the deviation of what is added to each value.
    """
    features, size = dictionary.shape
    draw, samples = np.random.RandomState((seed + 1) % 2**32), np.empty((count, size), np.float32)
    each = max(1, CHUNK // features)
    for start in range(0, count, each):
        rows = min(each, count - start)
        strength = (draw.random_sample((rows, features)) < active / features) * draw.uniform(0.5, 1.5, (rows, features))
        blur = noise * draw.standard_normal((rows, size)).astype(np.float32)
        samples[start:start + rows] = strength.astype(np.float32) @ dictionary + blur
    return samples
