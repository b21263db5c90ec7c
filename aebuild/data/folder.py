"""Folders of images: what is in them, and decoding without surprises."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aebuild.data.faults import fault, must_fit, reading, reason_of, shown
from aebuild.data.pictures import channels_first, resized
from aebuild.data.rules import DAMAGED, MIXED, TOO_FEW, TOO_LARGE, UNKNOWN_KIND
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
MOST_PIXELS = 1 << 26         # 8192 x 8192; larger ones are taken for bombs
PROBED = 16                   # images whose headers decide size and channels
PART_NAMES = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
Colours = Literal["gray", "rgb", "rgba"]
CHANNELS: dict[str, int] = {"gray": 1, "rgb": 3, "rgba": 4}


@dataclass
class Listing:
    """The images of each part with their classes, if any; `others` counts files that are no images."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    others: int = 0

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes in order of their names."""
        found = {name for held in self.classes.values() for name in held}
        return tuple(sorted(found)) or None


def is_image(name: str) -> bool:
    """True if a file is named like an image."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _entries(folder: Path) -> tuple[list[Path], list[Path], int]:
    """Images, folders and the number of other files in a folder; hidden ones are passed over."""
    with reading(folder), os.scandir(folder) as found:
        entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
        folders = [Path(entry.path) for entry in entries if _is_folder(entry)]
    inner = set(folders)
    images = [path for entry in entries if is_image(entry.name) and (path := Path(entry.path)) not in inner]
    return images, folders, len(entries) - len(folders) - len(images)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """True for a folder; a link that runs in circles is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def list_images(folder: Path) -> Listing:
    """The images in a folder: directly in it, in one folder a class, or either of these under train and test."""
    listing = Listing()
    _, folders, _ = _entries(folder)
    parts = {inner: PART_NAMES[inner.name.lower()] for inner in folders if inner.name.lower() in PART_NAMES}
    if "train" in parts.values() and len(parts) == len(folders) and len(set(parts.values())) == len(parts):
        for inner, part in parts.items():
            _list_part(inner, part, listing)
    else:
        _list_part(folder, "train", listing)
    labelled = [part for part in listing.files if part in listing.classes]
    if 0 < len(labelled) < len(listing.files):
        raise fault(UNKNOWN_KIND, f"{shown(folder)}: some parts have one folder a class and others have none")
    return listing


def _list_part(folder: Path, part: str, listing: Listing) -> None:
    images, folders, others = _entries(folder)
    inside = [(inner, *_entries(inner)) for inner in folders]
    listing.others += others + sum(count for *_, count in inside)
    classes = [(inner, found) for inner, found, _, _ in inside if found]
    for inner, _, deeper, _ in inside:
        for deep in deeper:
            if _entries(deep)[0]:
                raise fault(UNKNOWN_KIND, f"{shown(deep)} holds images too deep: they stand in the folder itself or in one folder a class "
                            f"({shown(inner)})")
    if images and classes:
        raise fault(UNKNOWN_KIND,
                    f"{shown(folder)} holds images beside folders of images ({shown(images[0].name)}, {shown(classes[0][0].name)}/); "
                    "it is either images or one folder a class")
    if not images and not classes:
        raise fault(TOO_FEW, f"{shown(folder)} holds no image (of {', '.join(ENDINGS)})")
    listing.files[part] = images or [image for _, found in classes for image in found]
    if classes:
        listing.classes[part] = [inner.name for inner, found in classes for _ in found]


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """An image with its header read; damaged and gigantic ones become one message."""
    from PIL import Image, UnidentifiedImageError

    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not path.is_file():
            raise fault(DAMAGED, f"{shown(path)} is not an ordinary file")
        with path.open("rb") as file:
            try:
                with Image.open(file) as image:
                    if image.width * image.height > MOST_PIXELS:
                        raise fault(TOO_LARGE,
                                    f"{shown(path)} is {image.width:,} by {image.height:,} pixels; at most {MOST_PIXELS:,} are decoded")
                    yield image
            except Image.DecompressionBombError as error:
                raise fault(TOO_LARGE, f"{shown(path)} has more pixels than are ever decoded ({MOST_PIXELS:,})") from error
            except UnidentifiedImageError as error:
                raise fault(DAMAGED, f"{shown(path)} is no image that can be read") from error
            except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
                    ZeroDivisionError, MemoryError) as error:
                raise fault(DAMAGED, f"{shown(path)} is a damaged image: {reason_of(error)}") from error


@dataclass(frozen=True)
class Look:
    """What all images of a folder have: channels, bits and size."""

    colours: Colours
    deep: bool                    # 16 bits a pixel
    size: tuple[int, int]         # height, width
    first: Path

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


def look(files: Mapping[str, Sequence[Path]], colours: Colours | None, size: tuple[int, int] | None) -> Look:
    """Channels and size by the headers of the first images; colour if any of these has colour."""
    seen: list[tuple[Path, Colours, bool, tuple[int, int]]] = []
    for path in files["train"][:PROBED]:
        with opened(path) as image:
            seen.append((path, _colours(image), _deep(image), _size(image)))
    first = seen[0]
    for path, _, _, other in seen:
        if size is None and other != first[3]:
            raise mixed_size(first[0], first[3], path, other)
    kind = colours or ("gray" if all(colour == "gray" for _, colour, _, _ in seen) else "rgb")
    return Look(kind, first[2] and kind == "gray", size or first[3], first[0])


def mixed_size(first: Path, size: tuple[int, int], other: Path, found: tuple[int, int]) -> Exception:
    """The error about two images of unequal size."""
    return fault(MIXED,
                 f"{shown(first)} is {size[0]} by {size[1]} pixels (height by width), but {shown(other)} is {found[0]} by {found[1]}",
                 f"size: [{min(size[0], found[0])}, {min(size[1], found[1])}]")


@dataclass
class ImageFiles:
    """Images decoded when they are taken."""

    files: Sequence[Path]
    look: Look
    chosen: Colours | None = None             # what the spec says of channels
    resize: bool = False

    def __len__(self) -> int:
        return len(self.files)

    def name(self, row: int) -> str:
        """The file's path."""
        return shown(self.files[row])

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Images [n, C, H, W], uint8 or for 16-bit grey ones uint16."""
        import numpy as np

        dtype = np.dtype(np.uint16 if self.look.deep else np.uint8)
        shape = (len(index), *self.look.value.shape)
        must_fit(int(np.prod(shape, dtype=object)) * dtype.itemsize, f"{len(index):,} images of {self.look.value}")
        images = np.empty(shape, dtype)
        for place, row in enumerate(index):
            images[place] = self._decoded(self.files[row])
        return images

    def _decoded(self, path: Path) -> NDArray[Any]:
        from PIL import ImageOps

        with opened(path) as image:
            if self.chosen is None and self.look.colours == "gray" and _colours(image) != "gray":
                raise fault(MIXED, f"{shown(path)} has colour, but the first images ({shown(self.look.first)}) are grey",
                            "channels: gray (or rgb)")
            if _deep(image) != self.look.deep:
                raise fault(MIXED, f"{shown(path)} has {'16' if _deep(image) else '8'} bits a pixel, and {shown(self.look.first)} has not",
                            "convert the images to 8 bits a channel")
            if not self.resize and _size(image) != self.look.size:
                raise mixed_size(self.look.first, self.look.size, path, _size(image))
            return _pixels(ImageOps.exif_transpose(image), self.look, self.resize)


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
