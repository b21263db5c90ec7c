"""Folders of images: what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, listed, path_fix, reading, shown
from aebuild.data.formats.images import ENDINGS, is_image
from aebuild.data.image_decoding import Decoder, Picture, count_frames, picture_file
from aebuild.data.raw_samples import even_blocks
from aebuild.data.rules import TOO_FEW, UNKNOWN_KIND

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEEPEST, MOST_FOLDERS, MOST_LISTED = 6, 200, 10_000          # how far images are looked for that stand in the wrong place
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


def _entries(folder: Path, most: int | None = None) -> tuple[list[Path], list[Path], int]:
    """Images, folders and the number of other files in a folder, or among its first entries; hidden ones are passed over."""
    with reading(folder), os.scandir(folder) as found:
        entries = sorted((entry for entry in islice(found, most) if not entry.name.startswith(".")), key=lambda entry: entry.name)
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


def list_images(folder: Path, written: str = "") -> Listing:
    """The images in a folder: directly in it, in one folder a class, or either of these under train and test.

    Other folders beside train and test, such as masks, are left out, which is noted. `written` is the path in the spec.
    """
    listing = Listing()
    _, folders, _ = _entries(folder)
    parts = _parts_of(folders)
    if parts:
        for inner, part in parts.items():
            _list_part(inner, part, listing)
        if left := [f"{shown(inner.name)}/" for inner in folders if inner not in parts]:
            listing.notes = (f"left out: {listed(left)}, beside {listed(f'{inner.name}/' for inner in parts)}",)
    else:
        _list_part(folder, "train", listing, written or shown(folder))
    labelled = [part for part in listing.files if part in listing.classes]
    if 0 < len(labelled) < len(listing.files):
        raise fault(UNKNOWN_KIND, f"{shown(folder)}: some parts have one folder a class and others have none")
    return listing


def _parts_of(folders: Sequence[Path]) -> dict[Path, str]:
    """The folders that are parts, if these are parts: train alone, or train and others with anything beside them."""
    parts = {inner: PART_NAMES[inner.name.lower()] for inner in folders if inner.name.lower() in PART_NAMES}
    whole = len(parts) == len(folders) or len(parts) > 1
    return parts if whole and "train" in parts.values() and len(set(parts.values())) == len(parts) else {}


def _list_part(folder: Path, part: str, listing: Listing, written: str | None = None) -> None:
    images, folders, others = _entries(folder)
    inside = [(inner, *_entries(inner)) for inner in folders]
    listing.others += others + sum(count for *_, count in inside)
    classes = [(inner, found) for inner, found, _, _ in inside if found]
    if any(_entries(deep)[0] for _, _, deeper, _ in inside for deep in deeper) or not (images or classes):
        raise _no_class_folders(folder, written)
    if images and classes:
        raise fault(UNKNOWN_KIND,
                    f"{shown(folder)} holds images beside folders of images ({shown(images[0].name)}, {shown(classes[0][0].name)}/); "
                    "it is either images or one folder a class")
    listing.files[part] = images or [image for _, found in classes for image in found]
    if classes:
        listing.classes[part] = [inner.name for inner, found in classes for _ in found]


def _no_class_folders(folder: Path, written: str | None) -> Exception:
    """The error about images that stand deeper than one folder a class, or nowhere."""
    deep = next((place for depth, place in folders_of_images(folder) if depth > 1), None)
    if deep is None:
        return fault(TOO_FEW, f"{shown(folder)} holds no image (of {', '.join(ENDINGS)})")
    inner = folder / deep.relative_to(folder).parts[0]
    rule = "images stand in the folder itself or in one folder a class"
    if _parts_of(_entries(inner)[1]):
        sets = [f"{shown(other.name)}/" for other in _entries(folder)[1] if _parts_of(_entries(other)[1])]
        return fault(UNKNOWN_KIND, f"{shown(folder)} holds data sets that have parts of their own: {listed(sets)}; name one of them",
                     _path(written, inner.relative_to(folder)))
    return fault(UNKNOWN_KIND, f"{shown(folder)} holds images too deep, in {shown(deep.relative_to(folder))}/; {rule}",
                 _path(written, deep.parent.relative_to(folder)))


def _path(written: str | None, inner: Path) -> str | None:
    return None if written is None else path_fix(f"{written.rstrip('/')}/{inner}/")


def folders_of_images(folder: Path) -> Iterator[tuple[int, Path]]:
    """The folders that hold images, and how many folders down they are; looks so deep and into so many only."""
    level = [folder]
    for depth in range(DEEPEST + 1):
        below = []
        for place in level[:MOST_FOLDERS]:
            images, folders, _ = _entries(place, MOST_LISTED)
            if images:
                yield depth, place
            below += folders
        level = below


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
