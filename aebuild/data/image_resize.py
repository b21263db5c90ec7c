"""Resizing, cropping and padding of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


def cover(width: int, height: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The middle of an image with the proportions of `size` (height, width): left, top, right, bottom."""
    tall, wide = size
    scale = min(width / wide, height / tall)
    across, down = wide * scale, tall * scale
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


def resized(image: Image, size: tuple[int, int]) -> Image:
    """The image scaled to cover `size` and cropped to its middle; bilinear, so no value leaves its range."""
    from PIL.Image import Resampling

    if image.size == (size[1], size[0]):
        return image
    return image.resize((size[1], size[0]), Resampling.BILINEAR, box=cover(*image.size, size))


def fit_size(images: NDArray[Any], size: tuple[int, int] | None) -> NDArray[Any]:
    """Images [n, C, H, W] resized and cropped; whole numbers stay whole."""
    import numpy as np
    from PIL import Image

    if size is None or images.shape[2:] == size:
        return images
    whole = images.dtype.kind in "iub"
    mode = np.uint8 if images.dtype == np.uint8 else np.float32
    fitted = np.empty((*images.shape[:2], *size), images.dtype if whole else np.float32)
    for row in np.ndindex(images.shape[:2]):
        plane = np.asarray(resized(Image.fromarray(images[row].astype(mode, copy=False)), size))
        fitted[row] = np.rint(plane) if whole and mode is np.float32 else plane
    return fitted


def fit_pad(images: NDArray[Any], pad: int) -> NDArray[Any]:
    """Images [n, C, H, W] with zeros on each side."""
    import numpy as np

    if not pad:
        return images
    count, channels, height, width = images.shape
    padded = np.zeros((count, channels, height + 2 * pad, width + 2 * pad), images.dtype)
    padded[:, :, pad:-pad, pad:-pad] = images
    return padded


def channels_first(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A decoded image, [H, W] or [H, W, C], as [C, H, W]."""
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
