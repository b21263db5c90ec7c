"""What any autoencoder must beat: the mean, and PCA with a code of the same size."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.values import Range

MOST_ROWS = 20_000      # PCA is fitted on this many training samples, evenly spaced
HALF_LEVEL = 1 / 512    # half a grey level: how near a linear baseline's probability may come to 0 and 1


def components_of(bits: float, samples: int, size: int) -> int:
    """Principal components that take the same space as the code: one float32 number each 32 bits."""
    return max(1, min(ceil(bits / 32), samples, size))


def fitted_rows(data: NDArray[Any]) -> NDArray[np.float32]:
    """At most MOST_ROWS samples, evenly spaced, flattened to [n, D]."""
    chosen = np.linspace(0, len(data) - 1, min(len(data), MOST_ROWS)).round().astype(np.int64)
    return data[chosen].reshape(len(chosen), -1).astype(np.float32)


def pca_reconstruction(training: NDArray[Any], test: NDArray[Any], components: int) -> NDArray[np.float32]:
    """The test samples through `components` principal components of the training samples, in the shape of `test`."""
    from sklearn.decomposition import PCA

    model = PCA(components, random_state=0).fit(fitted_rows(training))
    flat = test.reshape(len(test), -1)
    back: NDArray[np.float32] = model.inverse_transform(model.transform(flat)).astype(np.float32)
    return back.reshape(test.shape)


def mean_reconstruction(training: NDArray[Any], test: NDArray[Any]) -> NDArray[np.float32]:
    """The training mean in place of every test sample."""
    mean = training.mean(0, dtype=np.float64).astype(np.float32)
    return np.broadcast_to(mean, test.shape).copy()


def clipped(values: NDArray[np.float32], bounds: Range) -> NDArray[np.float32]:
    """Values held in the range of the data."""
    return values if bounds.low is None and bounds.high is None else np.clip(values, bounds.low, bounds.high)


def judge(likelihood: nn.Module, means: Tensor, target: Tensor) -> Tensor | None:
    """The model's own reconstruction term, [N], for reconstructions that no decoder made.

    The parameters whose mean is the reconstruction are sought among the reconstruction itself and its logit. None where the
    likelihood wants more than a mean: a predicted variance, a class for each value.
    """
    near = means.clamp(HALF_LEVEL, 1 - HALF_LEVEL)
    for params, wanted in ((means, means), (near.logit(), near)):
        try:
            found = likelihood.mean(params)  # type: ignore[operator]
        except RuntimeError:
            continue
        if found.shape == wanted.shape and torch.allclose(found, wanted, atol=1e-5):
            term: Tensor = likelihood(params, target)
            return term
    return None
