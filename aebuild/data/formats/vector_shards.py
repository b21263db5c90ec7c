"""Vectors in several .npy and .safetensors files, which stay on disk."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, listed, reading, regular_file, shown
from aebuild.data.formats import npy
from aebuild.data.formats.array_files import SAFETENSORS, TENSORS
from aebuild.data.raw_samples import even_blocks
from aebuild.data.rules import DAMAGED, DISAGREE, NO_SUCH_NAME, TOO_FEW, UNFIT
from aebuild.lang.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENDINGS = (".npy", SAFETENSORS)
BRAIN = "BF16"             # bfloat16, which numpy does not have: the upper half of a float32
MOST_HEADER = 100_000_000  # bytes, safetensors' own limit


@dataclass(frozen=True)
class Shard:
    """An array of a file: shape [..., values], numpy's name of its type, and where its data start; `brain` are bfloat16 as uint16."""

    path: Path
    shape: tuple[int, ...]
    dtype: str
    start: int
    brain: bool = False
    fortran: bool = False

    @property
    def rows(self) -> int:
        """Vectors in it."""
        return prod(self.shape[:-1])

    def mapped(self) -> NDArray[Any]:
        """Its vectors [rows, values], on disk."""
        import numpy as np

        with reading(self.path), open_regular(self.path) as file:
            held: NDArray[Any] = np.memmap(file, self.dtype, "r", self.start, self.shape, "F" if self.fortran else "C")
        return held.reshape(-1, self.shape[-1])


def shards_of(folder: Path, name: str | None, axes: int = 1) -> list[Shard]:
    """The arrays of the folder's files in the order of their names, of .safetensors that of this name or the only one.

    A vector stands on the last of its axes, or on so many.
    """
    with reading(folder):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
    if not files:
        raise fault(TOO_FEW, f"{shown(folder)} holds no .npy and no {SAFETENSORS} file")
    found = [_of_npy(file) if file.suffix.lower() == ".npy" else _of_tensors(file, name) for file in files]
    for each in found:
        if len(each.shape) <= axes or (not each.brain and each.dtype.lstrip("<>|=")[0] not in "biuf"):
            last, least = ("the last", "two") if axes == 1 else (f"the last {axes}", str(axes + 1))
            raise fault(UNFIT, f"{shown(each.path)} holds {list(each.shape)} of {each.dtype}; vectors of numbers stand on {last} of "
                        f"{least} axes or more")
    found = [replace(each, shape=(*each.shape[:-axes], prod(each.shape[-axes:]))) for each in found]
    for each in found:
        if each.shape[-1] != found[0].shape[-1]:
            raise fault(DISAGREE, f"{shown(each.path)} has vectors of {each.shape[-1]:,} values, but {shown(files[0])} of "
                        f"{found[0].shape[-1]:,}")
    return found


def _of_npy(path: Path) -> Shard:
    member = npy.headers(path).get("")
    if member is None:
        raise fault(DAMAGED, f"{shown(path)} is no .npy file")
    if member.fortran and len(member.shape) > 2:
        raise fault(UNFIT, f"{shown(path)} is stored column by column; save numpy.ascontiguousarray of it")
    return Shard(path, member.shape, member.dtype.str, member.start, fortran=member.fortran)


def _of_tensors(path: Path, name: str | None) -> Shard:
    """The place of one tensor, by the header: its length as 8 bytes, then JSON (the format's own description)."""
    size = regular_file(path)
    with reading(path), open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, MOST_HEADER):
            raise fault(DAMAGED, f"{shown(path)} is no {SAFETENSORS} file")
        try:
            told = json.loads(file.read(length))
            tensors = {each: told[each] for each in told if each != "__metadata__"}
            kinds = {each: (str(held["dtype"]), tuple(map(int, held["shape"])), list(map(int, held["data_offsets"])))
                     for each, held in tensors.items()}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise fault(DAMAGED, f"{shown(path)} is damaged: its header cannot be read") from error
    if name not in kinds and (name is not None or len(kinds) != 1):
        raise fault(NO_SUCH_NAME, f"{shown(path)} holds {listed(sorted(kinds), 12) or 'no tensor'}; which are the vectors?",
                    f"array: {min(kinds)}" if kinds else None)
    kind, shape, place = kinds[name or next(iter(kinds))]
    if kind != BRAIN and kind not in TENSORS:
        raise fault(DAMAGED, f"{shown(path)} has the type {shown(kind)}, which is not read")
    start = 8 + length
    shard = Shard(path, shape, "<u2" if kind == BRAIN else TENSORS[kind], start + (place or [0])[0], kind == BRAIN)
    return _checked(shard, place, size - start)


def _checked(shard: Shard, place: Sequence[int], size: int) -> Shard:
    import numpy as np

    wanted = prod(shard.shape) * np.dtype(shard.dtype).itemsize
    if len(place) != 2 or not 0 <= place[0] <= place[1] <= size or place[1] - place[0] != wanted or min(shard.shape, default=1) < 0:
        raise fault(DAMAGED, f"{shown(shard.path)} is damaged: its header promises {wanted:,} bytes of data that are not there")
    return shard


class VectorShards:
    """The vectors of all shards, one after the other."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = list(shards)
        self.starts = [0, *accumulate(shard.rows for shard in shards)]
        self._held = [shard.mapped() for shard in shards]

    def __len__(self) -> int:
        return self.starts[-1]

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Vectors [n, values] in the order of the index; float32 of bfloat16."""
        import numpy as np

        of = np.searchsorted(self.starts, index, "right") - 1
        kinds = [np.dtype(np.float32) if shard.brain else held.dtype.newbyteorder("=")
                 for shard, held in zip(self.shards, self._held, strict=True)]
        taken = np.empty((len(index), self.shards[0].shape[-1]), np.result_type(*kinds))
        for number in np.unique(of):
            rows = self._held[number][index[of == number] - self.starts[number]]
            taken[of == number] = (rows.astype(np.uint32) << 16).view(np.float32) if self.shards[number].brain else rows
        return taken

    def blocks(self) -> NDArray[np.int64]:
        """Rows that follow each other in a file."""
        return even_blocks(self.starts)

    def sources(self) -> Sequence[Path]:
        """The files."""
        return [shard.path for shard in self.shards]

    def name(self, row: int) -> str:
        """File and vector."""
        number = bisect_right(self.starts, row) - 1
        return f"{shown(self.shards[number].path)}, vector {row - self.starts[number]}"
