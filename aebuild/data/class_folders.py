"""Folders of files of one kind: directly, in one folder a class, or either of these under train and test."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.data.errors import fault, listed, path_fix, reading, shown
from aebuild.data.rules import TOO_FEW, UNKNOWN_KIND

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEEPEST, MOST_FOLDERS, MOST_LISTED = 6, 200, 10_000          # how far files are looked for that stand in the wrong place
PART_NAMES = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class FileKind:
    """Which files are samples, by their endings, and what messages call one."""

    word: str
    endings: tuple[str, ...]

    def belongs(self, name: str) -> bool:
        """True for a file that is named like one."""
        return name.lower().endswith(self.endings) and not name.startswith(".")


@dataclass
class Listing:
    """The files of each part with their classes, if any; `others` counts files of other kinds.

    `notes` tell what was left out.
    """

    files: dict[str, list[Path]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    others: int = 0
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes in order of their names."""
        found = {name for held in self.classes.values() for name in held}
        return tuple(sorted(found)) or None

    def below(self, folder: Path, part: str) -> dict[str, list[str]]:
        """The file of each sample, below the folder."""
        return {"file": [file.relative_to(folder).as_posix() for file in self.files[part]]}

    def labels(self) -> dict[str, NDArray[np.int64]]:
        """The number of each file's class, by part."""
        import numpy as np

        numbers = {name: number for number, name in enumerate(self.names or ())}
        return {part: np.asarray([numbers[name] for name in held], np.int64) for part, held in self.classes.items()}


def entries(folder: Path, kind: FileKind, most: int | None = None) -> tuple[list[Path], list[Path], int]:
    """Files of the kind, folders and the number of other files in a folder, or among its first entries; hidden ones are passed over."""
    with reading(folder), os.scandir(folder) as found:
        entries = sorted((entry for entry in islice(found, most) if not entry.name.startswith(".")), key=lambda entry: entry.name)
        folders = [Path(entry.path) for entry in entries if _is_folder(entry)]
    inner = set(folders)
    files = [path for entry in entries if kind.belongs(entry.name) and (path := Path(entry.path)) not in inner]
    return files, folders, len(entries) - len(folders) - len(files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """True for a folder; a link that runs in circles is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def list_files(folder: Path, kind: FileKind, written: str = "") -> Listing:
    """The files of the kind in a folder: directly in it, in one folder a class, or either of these under train and test.

    Other folders beside train and test, such as masks, are left out, which is noted. `written` is the path in the spec.
    """
    listing = Listing()
    _, folders, _ = entries(folder, kind)
    parts = _parts_of(folders)
    if parts:
        for inner, part in parts.items():
            _list_part(inner, part, listing, kind)
        if left := [f"{shown(inner.name)}/" for inner in folders if inner not in parts]:
            listing.notes = (f"left out: {listed(left)}, beside {listed(f'{inner.name}/' for inner in parts)}",)
    else:
        _list_part(folder, "train", listing, kind, written or shown(folder))
    labelled = [part for part in listing.files if part in listing.classes]
    if 0 < len(labelled) < len(listing.files):
        raise fault(UNKNOWN_KIND, f"{shown(folder)}: some parts have one folder a class and others have none")
    return listing


def _parts_of(folders: Sequence[Path]) -> dict[Path, str]:
    """The folders that are parts, if these are parts: train alone, or train and others with anything beside them."""
    parts = {inner: PART_NAMES[inner.name.lower()] for inner in folders if inner.name.lower() in PART_NAMES}
    whole = len(parts) == len(folders) or len(parts) > 1
    return parts if whole and "train" in parts.values() and len(set(parts.values())) == len(parts) else {}


def _list_part(folder: Path, part: str, listing: Listing, kind: FileKind, written: str | None = None) -> None:
    files, folders, others = entries(folder, kind)
    inside = [(inner, *entries(inner, kind)) for inner in folders]
    listing.others += others + sum(count for *_, count in inside)
    classes = [(inner, found) for inner, found, _, _ in inside if found]
    if any(entries(deep, kind)[0] for _, _, deeper, _ in inside for deep in deeper) or not (files or classes):
        raise _no_class_folders(folder, kind, written)
    if files and classes:
        raise fault(UNKNOWN_KIND,
                    f"{shown(folder)} holds {kind.word}s beside folders of {kind.word}s ({shown(files[0].name)}, "
                    f"{shown(classes[0][0].name)}/); it is either {kind.word}s or one folder a class")
    listing.files[part] = files or [file for _, found in classes for file in found]
    if classes:
        listing.classes[part] = [inner.name for inner, found in classes for _ in found]


def _no_class_folders(folder: Path, kind: FileKind, written: str | None) -> Exception:
    """The error about files that stand deeper than one folder a class, or nowhere."""
    deep = next((place for depth, place in folders_of(folder, kind) if depth > 1), None)
    if deep is None:
        return fault(TOO_FEW, f"{shown(folder)} holds no {kind.word} (of {', '.join(kind.endings)})")
    inner = folder / deep.relative_to(folder).parts[0]
    rule = f"{kind.word}s stand in the folder itself or in one folder a class"
    if _parts_of(entries(inner, kind)[1]):
        sets = [f"{shown(other.name)}/" for other in entries(folder, kind)[1] if _parts_of(entries(other, kind)[1])]
        return fault(UNKNOWN_KIND, f"{shown(folder)} holds data sets that have parts of their own: {listed(sets)}; name one of them",
                     _path(written, inner.relative_to(folder)))
    return fault(UNKNOWN_KIND, f"{shown(folder)} holds {kind.word}s too deep, in {shown(deep.relative_to(folder))}/; {rule}",
                 _path(written, deep.parent.relative_to(folder)))


def _path(written: str | None, inner: Path) -> str | None:
    return None if written is None else path_fix(f"{written.rstrip('/')}/{inner}/")


def folders_of(folder: Path, kind: FileKind) -> Iterator[tuple[int, Path]]:
    """The folders that hold files of the kind, and how many folders down they are; looks so deep and into so many only."""
    level = [folder]
    for depth in range(DEEPEST + 1):
        below = []
        for place in level[:MOST_FOLDERS]:
            files, folders, _ = entries(place, kind, MOST_LISTED)
            if files:
                yield depth, place
            below += folders
        level = below
