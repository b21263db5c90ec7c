"""Folders of images: what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.class_folders import FileKind, Listing, list_files
from aebuild.data.formats.images import ENDINGS
from aebuild.data.image_decoding import Decoder, Picture, count_frames, picture_file
from aebuild.data.raw_samples import even_blocks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGES = FileKind("image", ENDINGS)
HALF = 128                    # of a mask's bytes


@dataclass
class Album(Listing):
    """The images of each part; `frames` says which page or frame each is, where several of a file may be samples."""

    frames: dict[str, list[int]] = field(default_factory=dict)

    def pictures(self, part: str) -> Iterator[Picture]:
        """The images of a part, to be opened."""
        return map(picture_file, self.files[part], self.frames.get(part) or repeat(0))

    def spread(self) -> Album:
        """The same with every page or frame of the files as an image; reads the header of each."""
        spread = Album(others=self.others, notes=self.notes)
        for part, files in self.files.items():
            counts = list(map(count_frames, files))
            spread.files[part] = [file for file, count in zip(files, counts, strict=True) for _ in range(count)]
            spread.frames[part] = [frame for count in counts for frame in range(count)]
            if part in self.classes:
                spread.classes[part] = [name for name, count in zip(self.classes[part], counts, strict=True) for _ in range(count)]
        return spread


def list_images(folder: Path, written: str = "") -> Album:
    """The images in a folder; `written` is the path in the spec."""
    found = list_files(folder, IMAGES, written)
    return Album(found.files, found.classes, found.others, found.notes)


@dataclass
class ImageFiles:
    """Images decoded when they are taken."""

    files: Sequence[Path]
    decoder: Decoder
    frames: Sequence[int] = ()      # which one of each file; none: the first

    def __len__(self) -> int:
        return len(self.files)

    def name(self, row: int) -> str:
        """The file's path, and the frame."""
        return self.picture(row).name

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Images [n, C, H, W], uint8, or numbers as grey ones may hold them."""
        return self.decoder.all(index.tolist(), self.picture)

    def blocks(self) -> NDArray[np.int64]:
        """Files that follow each other by name."""
        return even_blocks([0, len(self.files)])

    def picture(self, row: int) -> Picture:
        """An image, to be opened."""
        return picture_file(self.files[row], self.frames[row] if self.frames else 0)

    def sources(self) -> Sequence[Path]:
        """The images."""
        return self.files


@dataclass
class HoledImages:
    """Images with holes: numbers [n, C, H, W] that are NaN where the mask of the same row is white, of half its range or more."""

    images: ImageFiles
    masks: ImageFiles

    def __len__(self) -> int:
        return len(self.images)

    def name(self, row: int) -> str:
        """The image's path."""
        return self.images.name(row)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Images [n, C, H, W], float32."""
        import numpy as np

        holes = self.masks.take(index) >= HALF
        return np.where(holes, np.float32(np.nan), self.images.take(index).astype(np.float32))
