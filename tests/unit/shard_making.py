"""Small shards of every kind, made by program, and an in-memory copy of what is streamed from them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aebuild.lang.splits import Split, Splits

RANDOM = np.random.default_rng(0)


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """An encoded image [H, W] or [H, W, 3]."""
    from PIL import Image

    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "PNG")
    return stored.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """An array as a .npy."""
    stored = io.BytesIO()
    np.save(stored, array)
    return stored.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """An archive of these members in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def make_pictures(count: int = 90, size: tuple[int, int] = (4, 6)) -> np.ndarray[Any, Any]:
    """Random grey images [count, H, W]."""
    return RANDOM.integers(0, 256, (count, *size), dtype=np.uint8)


def write_picture_tars(folder: Path, pixels: np.ndarray[Any, Any], shards: int = 3, ending: str = "png") -> Path:
    """The images and their classes in some archives, one after the other."""
    encode = png if ending == "png" else npy
    for number, rows in enumerate(np.array_split(np.arange(len(pixels)), shards)):
        members: dict[str, bytes] = {}
        for row in rows.tolist():
            members |= {f"{row:05}.{ending}": encode(pixels[row]), f"{row:05}.cls": str(row % 3).encode()}
        write_tar(folder / f"shard-{number:04}.tar", members)
    return folder


def write_parquets(folder: Path, table: Mapping[str, Any], files: int = 3, group: int = 16) -> Path:
    """The columns in some .parquet files with small row groups."""
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True, exist_ok=True)
    whole = pyarrow.table(dict(table))
    for number, rows in enumerate(np.array_split(np.arange(len(whole)), files)):
        pyarrow.parquet.write_table(whole.slice(int(rows[0]), len(rows)), folder / f"part-{number:04}.parquet", row_group_size=group)
    return folder


def in_memory(splits: Splits) -> Splits:
    """The same samples in the same rows, all in memory."""
    parts = {name: Split(split.x.copy(), split.labels, None if split.target is None else split.target.copy())
             for name in ("train", "validation", "test") for split in [getattr(splits, name)]}
    return replace(splits, **parts)
