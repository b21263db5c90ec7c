"""Known data sets: where they are kept, and the four IDX files of MNIST and its kin."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.download import Remote, fetch, gathered
from aebuild.data.errors import fault, shown
from aebuild.data.probe import Outline, plural
from aebuild.data.rules import DAMAGED, DOWNLOAD, MISSING
from aebuild.lang.cache import cache_folder
from aebuild.lang.dataset import Known
from aebuild.lang.diagnostics import DataError
from aebuild.lang.samples import Where
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.data.raw_samples import Raw


def folder_of(part: Known, where: Where, name: str) -> Path:
    """The folder of a known data set.

    Under the spec's `root`, else the given root, else AEBUILD_DATA, else the user's cache folder.
    """
    if part.root is not None:
        if "\0" in part.root:
            raise fault(MISSING, f"{shown(part.root)} cannot be the name of a folder", part=part, at=("root",))
        return where.base / part.root / name
    return (where.root or root()) / name


def root() -> Path:
    """The folder of known data sets that the environment names."""
    if named := os.environ.get("AEBUILD_DATA"):
        return Path(named)
    return cache_folder() / "data"


def absent_files(title: str, folder: Path, names: Sequence[str]) -> DataError:
    """The error for a data set that must be fetched by hand."""
    return fault(DOWNLOAD, f"{title} is not in {shown(folder)}, and aebuild does not download it",
                 f"put {' and '.join(names)} into {shown(folder)} (or name another folder with data.root or AEBUILD_DATA)")


@dataclass(frozen=True)
class IdxSet:
    """A data set published as four IDX files: images and labels of the training part, then of the test part."""

    title: str
    folder: str
    files: tuple[Remote, Remote, Remote, Remote]
    class_names: tuple[str, ...]
    train: int = 60_000
    test: int = 10_000
    side: int = 28

    def outline(self) -> Outline:
        """What the set is, without reading it."""
        return Outline(Grid(1, (self.side, self.side)), {"train": self.train, "test": self.test},
                       f"{self.title}: {self.train:,} training and {self.test:,} test images of {self.side}×{self.side} grey pixels, "
                       f"{plural(len(self.class_names), 'class')}", bounds=(0.0, 255.0), labelled=True, class_names=self.class_names)

    def read(self, part: Known, where: Where, mirrors: Sequence[str]) -> Raw:
        """All images and labels; downloads the files that are absent."""
        import numpy as np

        from aebuild.data.axes import Layout
        from aebuild.data.raw_samples import Raw, Stored

        folder = folder_of(part, where, self.folder)
        paths = [self._path(remote, folder, mirrors, where) for remote in self.files]
        arrays = [self._array(path, remote) for path, remote in zip(paths, self.files, strict=True)]
        layout = Layout(Grid(1, (self.side, self.side)))
        return Raw(self.outline(),
                   {"train": Stored(arrays[0], layout, shown(paths[0])), "test": Stored(arrays[2], layout, shown(paths[2]))},
                   {"train": arrays[1].astype(np.int64), "test": arrays[3].astype(np.int64)})

    def _path(self, remote: Remote, folder: Path, mirrors: Sequence[str], where: Where) -> Path:
        """The file, compressed or not, here or fetched."""
        for name in (remote.name, remote.name.removesuffix(".gz")):
            if (folder / name).exists():
                return folder / name
        try:
            return fetch(remote, folder, mirrors, where.say)
        except DataError as error:
            raise gathered(error, self.title, folder, self.files) from error

    def _array(self, path: Path, remote: Remote) -> NDArray[Any]:
        """The array, checked to be the published one."""
        from aebuild.data.formats.idx import read_idx

        header, array = read_idx(path)
        count = self.train if remote in self.files[:2] else self.test
        wanted = (count, self.side, self.side) if "images" in remote.name else (count,)
        if (header.shape, header.dtype) != (wanted, "uint8"):
            raise fault(DAMAGED,
                        f"{shown(path)} is not {self.title}'s: it holds {list(header.shape)} {header.dtype}, not {list(wanted)} uint8",
                        f"delete {shown(path)}; it is downloaded again")
        digest = hashlib.sha256(b"\0\0\x08" + bytes([len(wanted)]) + b"".join(n.to_bytes(4, "big") for n in wanted))
        digest.update(array.data)
        if digest.hexdigest() != remote.content_sha256:
            raise fault(DAMAGED, f"{shown(path)} differs from {self.title} as published (SHA-256 of the unpacked content)",
                        f"delete {shown(path)}; it is downloaded again")
        return array
