"""Folders of images: what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.decoding import Decoder, Picture, count_frames, picture_file
from aebuild.data.faults import fault, reading, shown
from aebuild.data.rasters import ENDINGS, is_image
from aebuild.data.rules import TOO_FEW, UNKNOWN_KIND
from aebuild.data.stored import even_blocks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PART_NAMES = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


@dataclass
class Listing:
    """The images of each part with their classes, if any; `others` counts files that are no images.

    `frames` says which page or frame each is, where several of a file may be samples. `notes` tell what was left out.
    """

    files: dict[str, list[Path]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    others: int = 0
    frames: dict[str, list[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes in order of their names."""
        found = {name for held in self.classes.values() for name in held}
        return tuple(sorted(found)) or None

    def pictures(self, part: str) -> Iterator[Picture]:
        """The images of a part, to be opened."""
        return map(picture_file, self.files[part], self.frames.get(part) or repeat(0))

    def spread(self) -> Listing:
        """The same with every page or frame of the files as an image; reads the header of each."""
        spread = Listing(others=self.others, notes=self.notes)
        for part, files in self.files.items():
            counts = list(map(count_frames, files))
            spread.files[part] = [file for file, count in zip(files, counts, strict=True) for _ in range(count)]
            spread.frames[part] = [frame for count in counts for frame in range(count)]
            if part in self.classes:
                spread.classes[part] = [name for name, count in zip(self.classes[part], counts, strict=True) for _ in range(count)]
        return spread


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
        return self._picture(row).name

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Images [n, C, H, W], uint8, or numbers as grey ones may hold them."""
        return self.decoder.all(index.tolist(), self._picture)

    def blocks(self) -> NDArray[np.int64]:
        """Files that follow each other by name."""
        return even_blocks([0, len(self.files)])

    def _picture(self, row: int) -> Picture:
        return picture_file(self.files[row], self.frames[row] if self.frames else 0)

    def sources(self) -> Sequence[Path]:
        """The images."""
        return self.files
