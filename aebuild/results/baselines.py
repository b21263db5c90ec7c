"""What any autoencoder must beat: the mean, and PCA with a code of the same size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split
    from aebuild.lang.values import Range

Reconstruction = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]

MOST_ROWS = 20_000      # PCA is fitted on this many training samples, evenly spaced
MOST_VALUES = 1 << 25   # and on this many numbers, which are held together: 128 MiB


def fitted_rows(data: NDArray[Any]) -> NDArray[np.float32]:
    """At most MOST_ROWS samples and MOST_VALUES numbers, evenly spaced, flattened to [n, D]."""
    most = max(1, min(len(data), MOST_ROWS, MOST_VALUES // prod(data.shape[1:])))
    chosen = np.linspace(0, len(data) - 1, most).round().astype(np.int64)
    return data[chosen].reshape(len(chosen), -1).astype(np.float32)


def known_targets(split: Split) -> NDArray[Any]:
    """The targets that the baselines are fitted on: all in memory, or of those on disk some evenly spaced blocks."""
    store = split.targets or split.inputs
    borders = store.blocks()
    if borders is None:
        return split.x if split.target is None else split.target
    most = max(1, min(len(store), MOST_ROWS, MOST_VALUES // prod(store.shape[1:])))
    blocks = np.unique(np.linspace(0, len(borders) - 2, ceil(most * (len(borders) - 1) / len(store))).round().astype(np.int64))
    some = np.concatenate([np.arange(borders[block], borders[block + 1]) for block in blocks])
    return store.scaled(store.take(some[:most]))


def judged_targets(split: Split) -> Iterator[NDArray[Any]]:
    """The targets to reconstruct: in one piece from memory, in many from disk."""
    store = split.targets or split.inputs
    if store.blocks() is None:
        yield split.x if split.target is None else split.target
        return
    rows = max(1, MOST_VALUES // prod(store.shape[1:]))
    for start in range(0, len(store), rows):
        yield store.scaled(store.take(np.arange(start, min(start + rows, len(store)))))


def pca_reconstruction(training: NDArray[Any], components: int) -> Reconstruction:
    """Test samples through `components` principal components of the training samples, in their shape."""
    from sklearn.decomposition import PCA

    model = PCA(components, random_state=0).fit(fitted_rows(training))

    def reconstruct(test: NDArray[np.float32]) -> NDArray[np.float32]:
        back: NDArray[np.float32] = model.inverse_transform(model.transform(test.reshape(len(test), -1))).astype(np.float32)
        return back.reshape(test.shape)

    return reconstruct


def mean_reconstruction(training: NDArray[Any]) -> Reconstruction:
    """The training mean in place of every test sample."""
    mean = training.mean(0, dtype=np.float64).astype(np.float32)
    return lambda test: np.broadcast_to(mean, test.shape).copy()


def token_frequencies(training: NDArray[np.int64], classes: int, lengths: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """How often each token stands at each place of the training samples [n, T], as shares [T, classes].

    Each count begins at 1 (Laplace), so that no token is impossible. Places beyond a sample's length do not count.
    """
    places = training.shape[1]
    counts = np.ones((places, classes))
    for place in range(places):
        column = training[:, place] if lengths is None else training[lengths > place, place]
        counts[place] += np.bincount(column, minlength=classes)
    shares: NDArray[np.float32] = (counts / counts.sum(1, keepdims=True)).astype(np.float32)
    return shares


def clipped(values: NDArray[np.float32], bounds: Range) -> NDArray[np.float32]:
    """Values held in the range of the data."""
    return values if bounds.low is None and bounds.high is None else np.clip(values, bounds.low, bounds.high)
