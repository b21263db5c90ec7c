"""The two forms CIFAR-10 comes in without pickles: binary batches, and JPEG files in one array."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.axes import Layout
from aebuild.data.errors import fault, reading, regular_file, shown
from aebuild.data.formats.images import open_raster
from aebuild.data.formats.npy import Member, headers, read_array
from aebuild.data.probe import Outline
from aebuild.data.raw_samples import Raw, Samples, Stored
from aebuild.data.remote_datasets import absent_files
from aebuild.data.rules import DAMAGED
from aebuild.lang.regular_files import open_regular
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCHES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
RECORDS, RECORD = 10_000, 1 + 3 * 32 * 32
JPEG = "cifar10_jpeg.npz"


def read_cifar10(folder: Path, outline: Outline) -> Raw:
    """All images and labels; the original batches are preferred to the lossy copy."""
    for place in (folder, folder / "cifar-10-batches-bin"):
        if (place / BATCHES["train"][0]).exists():
            return _binary(place, outline)
    if (folder / JPEG).exists():
        return _jpeg(folder / JPEG, replace(outline, notes=(
            f"{JPEG} is a lossy copy of CIFAR-10; errors on it do not compare with published ones",)))
    raise absent_files("CIFAR-10", folder, ["data_batch_1.bin to data_batch_5.bin", "test_batch.bin (of cifar-10-binary.tar.gz)"])


def _binary(folder: Path, outline: Outline) -> Raw:
    x: dict[str, Samples] = {}
    labels = {}
    for part, names in BATCHES.items():
        records = np.concatenate([_batch(folder / name) for name in names])
        labels[part] = records[:, 0].astype(np.int64)
        x[part] = Stored(records[:, 1:], Layout(Grid(3, (32, 32))), f"{shown(folder)}, {part} part")
    return Raw(outline, x, labels)


def _batch(path: Path) -> NDArray[np.uint8]:
    """Records [10000, 3073] of a label and the red, green and blue planes."""
    size = regular_file(path)
    if size != RECORDS * RECORD:
        raise fault(DAMAGED, f"{shown(path)} has {size:,} bytes; a batch has {RECORDS * RECORD:,}")
    with reading(path), open_regular(path) as file:
        records = np.fromfile(file, np.uint8).reshape(RECORDS, RECORD)
    bad = np.flatnonzero(records[:, 0] > 9)
    if len(bad):
        raise fault(DAMAGED, f"{shown(path)}, record {bad[0]}: the label is {records[bad[0], 0]}; labels are 0 to 9")
    return records


@dataclass
class JpegFiles:
    """JPEG files in one array of bytes, decoded when taken."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    file: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def name(self, row: int) -> str:
        """File and record."""
        return f"{self.file}, record {row}"

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Images [n, 3, 32, 32]."""
        images = np.empty((len(index), 3, 32, 32), np.uint8)
        for place, row in enumerate(index):
            images[place] = self._decode(int(row))
        return images

    def _decode(self, row: int) -> NDArray[np.uint8]:
        file = io.BytesIO(self.data[self.offsets[row]:self.offsets[row + 1]].tobytes())
        with open_raster(file, lambda: self.name(row), ("JPEG",)) as image:
            if image.size != (32, 32) or image.mode != "RGB":
                raise fault(DAMAGED, f"{self.name(row)} is {image.width} by {image.height} {image.mode}, not 32 by 32 RGB")
            return np.asarray(image).transpose(2, 0, 1)


def _jpeg(path: Path, outline: Outline) -> Raw:
    members = headers(path)
    x: dict[str, Samples] = {}
    labels = {}
    for part, count in outline.counts.items():
        data, offsets, classes = _arrays(path, members, [f"{part}_jpeg", f"{part}_offsets", f"{part}_labels"], count or 0)
        if offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) <= 0).any() or classes.max() > 9:
            raise fault(DAMAGED, f"{shown(path)}: the offsets or labels of the {part} part are out of order")
        x[part] = JpegFiles(data, offsets, f"{shown(path)}, {part} part")
        labels[part] = classes.astype(np.int64)
    return Raw(outline, x, labels)


def _arrays(path: Path, members: dict[str, Member], names: Sequence[str], count: int) -> list[NDArray[Any]]:
    """Bytes, offsets and labels, with the shapes that `count` images want."""
    arrays = []
    for name, shape, dtype in zip(names, (None, (count + 1,), (count,)), ("uint8", "int64", "uint8"), strict=True):
        member = members.get(name)
        if member is None or len(member.shape) != 1 or shape not in (None, member.shape) or member.dtype.name != dtype:
            raise fault(DAMAGED, f"{shown(path)} wants an array {name} {list(shape) if shape else ''} of {dtype}")
        arrays.append(read_array(path, member))
    return arrays
