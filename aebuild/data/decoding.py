"""Decoding of images without surprises: damaged, gigantic and unequal ones are named."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from aebuild.data.faults import fault, must_fit, reading, reason_of, shown
from aebuild.data.pictures import channels_first, resized
from aebuild.data.rules import DAMAGED, MIXED, TOO_LARGE
from aebuild.lang.diagnostics import Hint
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

MOST_PIXELS = 1 << 26         # 8192 x 8192; larger ones are taken for bombs
PROBED = 16                   # images whose headers decide size and channels
MOST_THREADS = 8
AT_ONCE = 256                 # images handed to the threads together
Colours = Literal["gray", "rgb", "rgba"]
CHANNELS: dict[str, int] = {"gray": 1, "rgb": 3, "rgba": 4}


@dataclass(frozen=True)
class Picture:
    """An encoded image: how to open it, and what a message calls it, which is looked up only then."""

    call: Callable[[], str]
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.call()


def picture_file(path: Path) -> Picture:
    """The image in a file."""
    return Picture(lambda: shown(path), lambda: _ordinary(path))


@contextmanager
def _ordinary(path: Path) -> Iterator[IO[bytes]]:
    with reading(path):
        if not path.is_file():
            raise fault(DAMAGED, f"{shown(path)} is not an ordinary file")
        with path.open("rb") as file:
            yield file


def _hush() -> None:
    """Ignores Pillow's own remarks for good: images are decoded in several threads, where filters cannot be put back."""
    ours = re.compile(r"PIL\.")
    if not any(kept[0] == "ignore" and kept[3] == ours for kept in warnings.filters):
        warnings.filterwarnings("ignore", module=ours.pattern)


@contextmanager
def opened(picture: Picture) -> Iterator[Image]:
    """An image with its header read; damaged and gigantic ones become one message."""
    from PIL import Image, UnidentifiedImageError

    _hush()
    with picture.open() as file:
        try:
            with Image.open(file) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise fault(TOO_LARGE, f"{picture.name} is {image.width:,} by {image.height:,} pixels; "
                                f"at most {MOST_PIXELS:,} are decoded")
                yield image
        except Image.DecompressionBombError as error:
            raise fault(TOO_LARGE, f"{picture.name} has more pixels than are ever decoded ({MOST_PIXELS:,})") from error
        except UnidentifiedImageError as error:
            raise fault(DAMAGED, f"{picture.name} is no image that can be read") from error
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
                ZeroDivisionError, MemoryError) as error:
            raise fault(DAMAGED, f"{picture.name} is a damaged image: {reason_of(error)}") from error


@dataclass(frozen=True)
class Look:
    """What all images of a folder have: channels, bits and size."""

    colours: Colours
    deep: bool                    # 16 bits a pixel
    size: tuple[int, int]         # height, width
    first: str

    @property
    def value(self) -> Grid:
        """The type of one image."""
        return Grid(CHANNELS[self.colours], self.size)


def _colours(image: Image) -> Colours:
    return "gray" if image.mode in ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F") else "rgb"


def _deep(image: Image) -> bool:
    return image.mode.startswith("I")


def _size(image: Image) -> tuple[int, int]:
    """Height and width as the camera meant it: EXIF orientations 5 to 8 lie on their side."""
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


def look(pictures: Iterable[Picture], colours: Colours | None, size: tuple[int, int] | None) -> Look:
    """Channels and size by the headers of the first images; colour if any of these has colour."""
    seen: list[tuple[str, Colours, bool, tuple[int, int]]] = []
    for picture in islice(pictures, PROBED):
        with opened(picture) as image:
            seen.append((picture.name, _colours(image), _deep(image), _size(image)))
    first = seen[0]
    for name, _, _, other in seen:
        if size is None and other != first[3]:
            raise _mixed_size(first[0], first[3], name, other)
    kind = colours or ("gray" if all(colour == "gray" for _, colour, _, _ in seen) else "rgb")
    return Look(kind, first[2] and kind == "gray", size or first[3], first[0])


def _mixed_size(first: str, size: tuple[int, int], other: str, found: tuple[int, int]) -> Exception:
    """The error about two images of unequal size."""
    return fault(MIXED,
                 f"{first} is {size[0]} by {size[1]} pixels (height by width), but {other} is {found[0]} by {found[1]}",
                 f"size: [{min(size[0], found[0])}, {min(size[1], found[1])}]")


@dataclass(frozen=True)
class Decoder:
    """Decodes images that must be as the first ones were."""

    look: Look
    chosen: Colours | None = None             # what the spec says of channels
    resize: bool = False

    def all(self, rows: Sequence[int], picture: Callable[[int], Picture]) -> NDArray[Any]:
        """The images of these rows [n, C, H, W], uint8 or for 16-bit grey ones uint16, decoded by several threads."""
        import numpy as np

        dtype = np.dtype(np.uint16 if self.look.deep else np.uint8)
        shape = (len(rows), *self.look.value.shape)
        must_fit(int(np.prod(shape, dtype=object)) * dtype.itemsize, f"{len(rows):,} images of {self.look.value}")
        images = np.empty(shape, dtype)
        for start in range(0, len(rows), AT_ONCE):
            some = [picture(row) for row in rows[start:start + AT_ONCE]]
            for place, image in enumerate(_threads().map(self.one, some), start):
                images[place] = image
        return images

    def one(self, picture: Picture) -> NDArray[Any]:
        """One image [C, H, W]; DataError if it is not like the others."""
        from PIL import ImageOps

        first = self.look.first
        with opened(picture) as image:
            if self.chosen is None and self.look.colours == "gray" and _colours(image) != "gray":
                raise fault(MIXED, f"{picture.name} has colour, but the first images ({first}) are grey", "channels: rgb")
            if _deep(image) != self.look.deep:
                raise fault(MIXED, f"{picture.name} has {'16' if _deep(image) else '8'} bits a pixel, and {first} has not",
                            Hint("convert the images to 8 bits a channel"))
            if not self.resize and _size(image) != self.look.size:
                raise _mixed_size(first, self.look.size, picture.name, _size(image))
            return _pixels(ImageOps.exif_transpose(image), self.look, self.resize)


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads that decode: Pillow lets go of the interpreter while it works."""
    return ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "decoder")


def _pixels(image: Image, look: Look, resize: bool) -> NDArray[Any]:
    """The pixels [C, H, W]; transparency is laid on white unless `rgba` keeps it."""
    import numpy as np
    from PIL import Image as Pillow

    if look.deep:
        plane = Pillow.fromarray(np.asarray(image, np.float32))
        values = np.asarray(resized(plane, look.size) if resize else plane)
        levels: NDArray[Any] = np.rint(np.clip(values, 0, 65535)).astype(np.uint16)[None]
        return levels
    if look.colours != "rgba" and (image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info):
        opaque = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", opaque.size, "white"), opaque)
    image = image.convert({"gray": "L", "rgb": "RGB", "rgba": "RGBA"}[look.colours])
    return channels_first(np.asarray(resized(image, look.size) if resize else image, np.uint8))
