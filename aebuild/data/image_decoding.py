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

from aebuild.data.bit_depth import SPOKEN, Numbers, cut_to_bytes, extent_of, numbers_of, plane_of
from aebuild.data.errors import fault, must_fit, reading, shown
from aebuild.data.formats.images import frames_of, open_raster
from aebuild.data.image_resize import channels_first, resized
from aebuild.data.probe import LEVELS, range_note, scale_of
from aebuild.data.rules import DAMAGED, MIXED, UNREADABLE_NUMBERS
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import NotRegularError, open_regular
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

PROBED = 16                   # images whose headers decide size and channels
MOST_THREADS = 8
AT_ONCE = 256                 # images handed to the threads together
Colours = Literal["gray", "rgb", "rgba"]
CHANNELS: dict[str, int] = {"gray": 1, "rgb": 3, "rgba": 4}


@dataclass(frozen=True)
class Picture:
    """An encoded image: how to open it, and what a message calls it, which is looked up only then.

    `frame` counts the pages of a TIFF or the frames of an animation.
    """

    call: Callable[[], str]
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    frame: int = 0

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.call()


def picture_file(path: Path, frame: int = 0) -> Picture:
    """The image in a file."""
    return Picture(lambda: shown(path) + (f", frame {frame}" if frame else ""), lambda: _ordinary(path), frame)


def count_frames(path: Path) -> int:
    """The pages or frames in an image file."""
    with opened(picture_file(path)) as image:
        return frames_of(image)


def image_places(picture: Picture) -> tuple[int, int]:
    """Height and width of an image, from its header."""
    with opened(picture) as image:
        return _size(image)


@contextmanager
def _ordinary(path: Path) -> Iterator[IO[bytes]]:
    with reading(path):
        try:
            file = open_regular(path)
        except (NotRegularError, FileNotFoundError) as error:
            raise fault(DAMAGED, f"{shown(path)} is not an ordinary file") from error
        with file:
            yield file


def _hush() -> None:
    """Ignores Pillow's own remarks for good: images are decoded in several threads, where filters cannot be put back."""
    ours = re.compile(r"PIL\.")
    if not any(kept[0] == "ignore" and kept[3] == ours for kept in warnings.filters):
        warnings.filterwarnings("ignore", module=ours.pattern)


@contextmanager
def opened(picture: Picture) -> Iterator[Image]:
    """An image with its header read; damaged and gigantic ones become one message."""
    _hush()
    with picture.open() as file, open_raster(file, picture.call, frame=picture.frame) as image:
        yield image


@dataclass(frozen=True)
class Look:
    """What all images of a folder have: channels, numbers and size.

    `extent` are the least and greatest value of the first images where these are more than bytes. `cut` and `several` name one of the
    first images of which less than all is read.
    """

    colours: Colours
    numbers: Numbers
    size: tuple[int, int]         # height, width
    first: str
    extent: tuple[float, float] | None = None
    cut: str | None = None
    several: str | None = None

    @property
    def value(self) -> Grid:
        """The type of one image."""
        return Grid(CHANNELS[self.colours], self.size)

    def remarks(self, part: Dataset) -> tuple[str, ...]:
        """What the user should read of it."""
        frames = f"{self.several}, and only the first of a file is read" + (
            "; `frames: all` takes each for a sample" if hasattr(part, "frames") else "")
        cut = f"{self.cut} has more than 8 bits a channel, of which 8 are read: only grey images without transparency keep all"
        return ((cut,) if self.cut else ()) + ((frames,) if self.several and getattr(part, "frames", None) is None else ()) + range_note(
            "the first images", self.extent, LEVELS.get(self.numbers), scale_of(part, self.value))


def _colours(image: Image) -> Colours:
    return "gray" if image.mode in ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F") else "rgb"


def _size(image: Image) -> tuple[int, int]:
    """Height and width as the camera meant it: EXIF orientations 5 to 8 lie on their side."""
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


@dataclass(frozen=True)
class _Seen:
    """The header of one image; `extent` only where it is more than bytes."""

    name: str
    colours: Colours
    numbers: Numbers
    size: tuple[int, int]
    extent: tuple[float, float] | None
    frames: int
    cut: bool


def _seen(picture: Picture) -> _Seen:
    with opened(picture) as image:
        numbers, cut = numbers_of(image, picture.call), cut_to_bytes(image)        # reading EXIF may decode, after which nothing tells
        return _Seen(picture.name, _colours(image), numbers, _size(image), None if numbers == "uint8" else extent_of(image),
                     frames_of(image), cut)


def look(pictures: Iterable[Picture], colours: Colours | None, size: tuple[int, int] | None) -> Look:
    """Channels and size by the headers of the first images; colour if any of these has colour.

    Images that are more than bytes are decoded, to know between which values they lie.
    """
    seen = [_seen(picture) for picture in islice(pictures, PROBED)]
    first = seen[0]
    for other in seen:
        if size is None and other.size != first.size:
            raise _mixed_size(first.name, first.size, other.name, other.size)
        if other.numbers != first.numbers:
            raise _mixed_numbers(first.name, first.numbers, other.name, other.numbers)
    kind = colours or ("gray" if all(other.colours == "gray" for other in seen) else "rgb")
    if first.numbers != "uint8" and kind != "gray":
        raise fault(UNREADABLE_NUMBERS, f"{first.name} has {SPOKEN[first.numbers]}, which are not turned into `channels: {kind}`",
                    "channels: gray")
    extents = [other.extent for other in seen if other.extent is not None]
    extent = (min(low for low, _ in extents), max(high for _, high in extents)) if extents else None
    return Look(kind, first.numbers, size or first.size, first.name, extent, next((other.name for other in seen if other.cut), None),
                next((f"{other.name} has {other.frames:,} frames" for other in seen if other.frames > 1), None))


def _mixed_numbers(first: str, numbers: Numbers, other: str, found: Numbers) -> Exception:
    """The error about two images of unlike numbers."""
    return fault(MIXED, f"{other} has {SPOKEN[found]}, but {first} has {SPOKEN[numbers]}", Hint("convert the images to 8 bits a channel"))


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
        """The images of these rows [n, C, H, W], uint8 or numbers as grey ones may hold them, decoded by several threads."""
        import numpy as np

        dtype = np.dtype(self.look.numbers)
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
            if (numbers := numbers_of(image, picture.call)) != self.look.numbers:
                raise _mixed_numbers(first, self.look.numbers, picture.name, numbers)
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

    if look.numbers != "uint8":
        return plane_of(image, look.numbers, look.size)
    if look.colours != "rgba" and (image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info):
        opaque = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", opaque.size, "white"), opaque)
    image = image.convert({"gray": "L", "rgb": "RGB", "rgba": "RGBA"}[look.colours])
    return channels_first(np.asarray(resized(image, look.size) if resize else image, np.uint8))
