"""What any autoencoder must beat: the mean, and PCA with a code of the same size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.sample_storage import Store
    from aebuild.lang.splits import Split
    from aebuild.lang.values import Range

Reconstruction = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]

MOST_ROWS = 20_000      # PCA is fitted on this many training samples, evenly spaced
MOST_VALUES = 1 << 25   # and on this many numbers, which are held together: 128 MiB
EXACT = 1_000           # side of a matrix of products whose eigenvectors are computed: more take too long
QUICK = 1 << 30         # multiplications that float64 is used for
SPARE, ITERATIONS = 10, 7      # axes beyond those that are asked for, and rounds, of the subspace iteration


def fitted_rows(store: Store) -> NDArray[np.float32]:
    """At most MOST_ROWS samples and MOST_VALUES numbers of a store, evenly spaced, of one on disk by blocks: scaled, flattened to [n, D].

    Only these are read and scaled: all of a large set would take longer than a short training.
    """
    rows = store.scaled(store.take(_spread(store)))
    return rows.reshape(len(rows), -1).astype(np.float32, copy=False)


def _spread(store: Store) -> NDArray[np.int64]:
    """The numbers of evenly spaced samples; whole blocks where they are read together."""
    most = max(1, min(len(store), MOST_ROWS, MOST_VALUES // prod(store.shape[1:])))
    borders = store.blocks()
    if borders is None:
        return np.linspace(0, len(store) - 1, most).round().astype(np.int64)
    blocks = np.unique(np.linspace(0, len(borders) - 2, ceil(most * (len(borders) - 1) / len(store))).round().astype(np.int64))
    return np.concatenate([np.arange(borders[block], borders[block + 1]) for block in blocks])[:most]


def known_tokens(split: Split) -> NDArray[Any]:
    """The tokens that frequencies are counted over: all in memory, or of those on disk some evenly spaced blocks."""
    store = split.aims
    if store.blocks() is None:
        return split.x if split.target is None else split.target
    return store.scaled(store.take(_spread(store)))


def judged_targets(split: Split) -> Iterator[NDArray[Any]]:
    """The targets to reconstruct: in one piece from memory, in many from disk."""
    store = split.aims
    if store.blocks() is None:
        yield split.x if split.target is None else split.target
        return
    rows = max(1, MOST_VALUES // prod(store.shape[1:]))
    for start in range(0, len(store), rows):
        yield store.scaled(store.take(np.arange(start, min(start + rows, len(store)))))


def pca_reconstruction(training: NDArray[Any], components: int) -> Reconstruction:
    """Test samples through `components` principal components of training samples [n, ...], in their shape."""
    rows = training.reshape(len(training), -1)
    mean = rows.mean(0, dtype=np.float64).astype(np.float32)
    axes = principal_axes(rows - mean, components)

    def reconstruct(test: NDArray[np.float32]) -> NDArray[np.float32]:
        back: NDArray[np.float32] = (test.reshape(len(test), -1) - mean) @ axes @ axes.T + mean
        return back.reshape(test.shape)

    return reconstruct


def principal_axes(centred: NDArray[np.float32], components: int) -> NDArray[np.float32]:
    """The first principal axes [D, components], orthonormal, of samples [n, D] whose mean is 0.

    Eigenvectors of the smaller matrix of products; where both sides are above EXACT by subspace iteration from a random start (Halko,
    Martinsson and Tropp, Finding structure with randomness, 2011). In float64 where that is quick.
    """
    from scipy.linalg import eigh

    least = min(centred.shape)
    if least > EXACT:
        return _iterated_axes(centred, components)
    x = centred.astype(np.float64) if centred.size * least <= QUICK else centred
    across = len(x) < x.shape[1]
    products = (x @ x.T if across else x.T @ x).astype(np.float64)
    first = eigh(products, subset_by_index=(max(0, least - components), least - 1), overwrite_a=True)[1][:, ::-1]
    axes = np.linalg.qr(x.T @ first)[0] if across else first
    return axes.astype(np.float32)


def _iterated_axes(centred: NDArray[np.float32], components: int) -> NDArray[np.float32]:
    start = np.random.default_rng(0).standard_normal((len(centred), min(components + SPARE, *centred.shape)), dtype=np.float32)
    for _ in range(ITERATIONS):
        axes = np.linalg.qr(centred.T @ start)[0]
        start = np.linalg.qr(centred @ axes)[0]
    return np.linalg.svd(start.T @ centred, full_matrices=False)[2][:components].T


def mean_reconstruction(training: NDArray[Any]) -> Reconstruction:
    """The training mean in place of every test sample."""
    mean = training.mean(0, dtype=np.float64).astype(np.float32)
    return lambda test: np.broadcast_to(mean.reshape(test.shape[1:]), test.shape).copy()


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
