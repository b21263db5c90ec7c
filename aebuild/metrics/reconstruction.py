"""How near reconstructions are to what they should be, a figure a sample."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGMA, TRUNCATE = 1.5, 3.5              # a window of 11 places
WINDOW = 2 * int(TRUNCATE * SIGMA + 0.5) + 1
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)        # Wang, Simoncelli, Bovik (2003), table
FLOOR = 1e-10                            # of a power: 100 dB below one


def psnr(mse: NDArray[np.float64], extent: float) -> NDArray[np.float64]:
    """Peak signal to noise ratio in dB, [n], of data that can take values over `extent`; infinite where there is no error."""
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(extent**2 / mse))


def ssim(target: NDArray[Any], other: NDArray[Any], extent: float) -> NDArray[np.float64]:
    """Structural similarity of images [n, C, H, W], at most 1, [n]: a Gaussian window of 11, mean over places and channels (Wang, 2004).

    ValueError if a side is below 11.
    """
    similarity, _ = _similarity(target, other, extent)
    return similarity


def ms_ssim(target: NDArray[Any], other: NDArray[Any], extent: float) -> NDArray[np.float64]:
    """Multi-scale structural similarity of images [n, C, H, W] over five scales, each half as large (Wang, 2003), [n].

    Negative contrast terms count as 0. ValueError if a side is below 176, which leaves no window at the last scale.
    """
    found = np.ones(len(target))
    for scale, weight in enumerate(SCALES):
        similarity, contrast = _similarity(target, other, extent)
        last = scale == len(SCALES) - 1
        found *= np.maximum(similarity if last else contrast, 0) ** weight
        if not last:
            target, other = _halved(target), _halved(other)
    return found


def _halved(images: NDArray[Any]) -> NDArray[np.float64]:
    height, width = images.shape[2] // 2 * 2, images.shape[3] // 2 * 2
    blocks = images[:, :, :height, :width].astype(np.float64).reshape(*images.shape[:2], height // 2, 2, width // 2, 2)
    return np.asarray(blocks.mean((3, 5)))


def _similarity(target: NDArray[Any], other: NDArray[Any], extent: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Similarity and its part without the means, [n] each."""
    if min(target.shape[2:]) < WINDOW:
        raise ValueError(f"structural similarity needs images of {WINDOW} places a side, not {min(target.shape[2:])}")
    x, y = target.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y, both = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2, _blurred(x * y) - mean_x * mean_y
    first, second = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    contrast = (2 * both + second) / (var_x + var_y + second)
    whole = contrast * (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
    return np.asarray(whole.mean((1, 2, 3))), np.asarray(contrast.mean((1, 2, 3)))


def _blurred(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weighted means of all whole windows."""
    edge = WINDOW // 2
    whole = gaussian_filter(images, (0, 0, SIGMA, SIGMA), truncate=TRUNCATE)
    return np.asarray(whole[:, :, edge:-edge or None, edge:-edge or None])


def log_spectral_distance(target: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Root mean squared difference of the power spectra in dB over frequencies, mean over channels; [n] from [n, T, C].

    The constant part is left out; a power below 1e-10 counts as that (Gray and Markel, 1976).
    """
    power = [np.maximum(np.square(np.abs(np.fft.rfft(held.astype(np.float64), axis=1)[:, 1:])), FLOOR) for held in (target, other)]
    apart = 10 * np.log10(power[0] / power[1])
    return np.asarray(np.sqrt(np.square(apart).mean(1)).mean(1))


def bits(nats: float) -> float:
    """Nats as bits."""
    return nats * log2(np.e)
