"""What the pixels of an image are: 8 bits a channel, or numbers that need more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from aebuild.data.errors import fault
from aebuild.data.image_resize import resized
from aebuild.data.rules import UNREADABLE_NUMBERS
from aebuild.lang.diagnostics import Hint

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

Numbers = Literal["uint8", "uint16", "int32", "float32"]
SPOKEN: dict[Numbers, str] = {"uint8": "8 bits a channel", "uint16": "16 bits a pixel", "int32": "whole numbers of 32 bits a pixel",
                              "float32": "numbers with fractions (float32)"}
_SIGNED, _BITS, _FORMAT = 2, 258, 339         # TIFF: the value and the tags of BitsPerSample and SampleFormat


def numbers_of(image: Image, call: Callable[[], str]) -> Numbers:
    """The type that holds every value of an opened image; refuses what Pillow would read as other values than it has."""
    bits, signed = _stated(image)
    if image.mode == "F":
        return "float32"
    if image.mode.startswith("I;"):
        return "uint16"
    if image.mode == "I" and (signed or bits <= 16):
        return "int32" if signed else "uint16"
    if image.mode == "I" or signed:
        raise fault(UNREADABLE_NUMBERS, f"{call()} has {bits} bits a channel {'with' if signed else 'without'} a sign, which are not read",
                    Hint("save it as float32 TIFF, or all images as one .npy"))
    return "uint8"


def _stated(image: Image) -> tuple[int, bool]:
    """Bits a channel and whether they have a sign, as a TIFF says of itself; others of mode I have 16 without one."""
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    return max(tags.get(_BITS, (16,)), default=16), _SIGNED in tags.get(_FORMAT, ())


def cut_to_bytes(image: Image) -> bool:
    """True for colour (or transparency) of more than 8 bits a channel, of which Pillow keeps 8."""
    if image.mode.startswith(("I", "F")):
        return False
    args = [tile.args if isinstance(tile.args, tuple) else (tile.args,) for tile in getattr(image, "tile", ()) if tile.args]
    spelt = [str(each[0]) for each in args]                        # BGR;16 has 16 bits in all
    most = [each[1] for each in args if image.format == "PPM" and len(each) == 2]
    return any(";16" in word and not word.startswith("BGR") for word in spelt) or any(level > 255 for level in most)


def extent_of(image: Image) -> tuple[float, float]:
    """Least and greatest value of an image of one channel; decodes it."""
    low, high = (image if image.mode in ("I", "F", "I;16") else image.convert("I")).getextrema()
    return cast("float", low), cast("float", high)


def plane_of(image: Image, numbers: Numbers, size: tuple[int, int]) -> NDArray[Any]:
    """The values [1, H, W] of an image of one channel that is more than bytes, brought to size."""
    import numpy as np
    from PIL import Image as Pillow

    stored = np.asarray(image)
    if stored.shape == size:
        return stored.astype(numbers)[None]
    values = np.asarray(resized(Pillow.fromarray(stored.astype(np.float32)), size))
    return (values if numbers == "float32" else np.rint(values).astype(numbers))[None]
