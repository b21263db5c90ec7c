"""The raster formats that images may have, and the one place where Pillow opens them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from aebuild.data.errors import fault, reason_of
from aebuild.data.rules import DAMAGED, FOREIGN_FORMAT, TOO_LARGE
from aebuild.lang.diagnostics import Hint

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow knows other formats, some of which start programs (PostScript) or read further files: none of these is ever tried.
RASTERS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "BMP": (".bmp",), "GIF": (".gif",), "TIFF": (".tif", ".tiff"),
           "WEBP": (".webp",), "PPM": (".ppm", ".pgm", ".pbm")}
FORMATS = tuple(RASTERS)
ENDINGS = tuple(ending for endings in RASTERS.values() for ending in endings)
MOST_PIXELS = 1 << 26         # 8192 x 8192; larger ones are taken for bombs

_KNOWN = ((0, b"\x89PNG", "PNG"), (0, b"\xff\xd8\xff", "JPEG"), (0, b"GIF8", "GIF"), (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"),
          (0, b"BM", "BMP"), (8, b"WEBP", "WEBP"))
_FOREIGN = ((0, b"%!", "EPS/PostScript"), (0, b"\xc5\xd0\xd3\xc6", "EPS/PostScript"), (0, b"%PDF", "PDF"), (0, b"8BPS", "Photoshop"),
            (0, b"\0\0\1\0", "ICO"), (0, b"\0\0\0\x0cjP  ", "JPEG 2000"), (0, b"\xff\x4f\xff\x51", "JPEG 2000"), (0, b"DDS ", "DDS"),
            (0, b"\x76\x2f\x31\x01", "OpenEXR"), (0, b"#?RADIANCE", "Radiance HDR"), (0, b"SIMPLE  =", "FITS"), (128, b"DICM", "DICOM"),
            (0, b"\x89HDF", "HDF5"), (4, b"ftypavif", "AVIF"), (4, b"ftypheic", "HEIC"), (4, b"ftypheix", "HEIC"), (4, b"ftypmif1", "HEIF"),
            (4, b"ftyp", "video"), (0, b"gimp xcf", "GIMP"), (0, b"<svg", "SVG"), (0, b"<?xml", "XML"), (0, b"<!DOCTYPE", "HTML"),
            (0, b"<html", "HTML"), (0, b"\xd7\xcd\xc6\x9a", "Windows metafile"), (0, b"\1\0\0\0", "Windows metafile"),
            (0, b"PK\3\4", "zip"), (0, b"\x1f\x8b", "gzip"), (0, b"\x93NUMPY", "npy"))


def is_image(name: str) -> bool:
    """True if a file is named like an image."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


@contextmanager
def open_raster(file: IO[bytes], call: Callable[[], str], formats: Collection[str] = FORMATS, frame: int = 0) -> Iterator[Image]:
    """An image with the header of a frame read, of one of these formats and no other; `call` says what a message calls it.

    Damaged, gigantic and foreign ones end in one message.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=tuple(formats)) as image:
            if frame:
                image.seek(frame)
            if image.width * image.height > MOST_PIXELS:
                raise fault(TOO_LARGE, f"{call()} is {image.width:,} by {image.height:,} pixels; at most {MOST_PIXELS:,} are decoded")
            yield image
    except Image.DecompressionBombError as error:
        raise fault(TOO_LARGE, f"{call()} has more pixels than are ever decoded ({MOST_PIXELS:,})") from error
    except UnidentifiedImageError as error:
        raise _unread(file, call()) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
            ZeroDivisionError, MemoryError) as error:
        raise fault(DAMAGED, f"{call()} is a damaged image: {reason_of(error)}") from error


def frames_of(image: Image) -> int:
    """Pages or frames; a camera's JPEG has one, whatever previews lie behind it."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _unread(file: IO[bytes], name: str) -> Exception:
    """The error about a file that is an image of none of the formats, by its first bytes."""
    file.seek(0)
    start = file.read(200).lstrip(b"\xef\xbb\xbf")
    found = next((word for at, magic, word in _FOREIGN if start[at:at + len(magic)] == magic), None)
    if found is not None:
        return fault(FOREIGN_FORMAT, f"{name} is of the format {found}; images are {', '.join(FORMATS)}", Hint("convert it to PNG"))
    known = next((word for at, magic, word in _KNOWN if start[at:at + len(magic)] == magic), None)
    return fault(DAMAGED, f"{name} is " + (f"a {known} image that is damaged, or of a kind that cannot be read (such as colour of 32 bits)"
                                           if known else "no image that can be read"))
