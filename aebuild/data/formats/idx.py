"""The IDX format of MNIST, plain or gzip-compressed."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from aebuild.data.errors import fault, listed, must_fit, reading, regular_file, shown
from aebuild.data.formats.npy import DEFLATE_RATIO
from aebuild.data.rules import DAMAGED, MISSING, TOO_LARGE, UNKNOWN_KIND
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
WIDTHS = {"uint8": 1, "int8": 1, "int16": 2, "int32": 4, "float32": 4, "float64": 8}
IDX_NAME = re.compile(r"(idx|idx[1-9]([-.][a-z0-9]{1,8})?|[-.]ubyte)(\.gz)?$")
TEST_WORDS = ("t10k", "test")


@dataclass(frozen=True)
class Header:
    """The header of an IDX file."""

    path: Path
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the data behind the header."""
        return prod(self.shape) * WIDTHS[self.dtype]


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """The contents, unpacked; damage to a gzip file becomes one message."""
    with reading(path), open_regular(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = "it is cut short" if isinstance(error, EOFError) else shown(error)
            raise fault(DAMAGED, f"{shown(path)} is a damaged gzip file: {reason}") from error


def _parse(stream: IO[bytes], path: Path) -> Header:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:
        raise fault(DAMAGED, f"{shown(path)} is no IDX file: it starts with the bytes {magic.hex(' ') or '(none)'}, "
                    "where two zeros, a type and the number of axes are wanted")
    extents = stream.read(4 * magic[3])
    if len(extents) < 4 * magic[3]:
        raise fault(DAMAGED, f"{shown(path)} ends within its header")
    return Header(path, TYPES[magic[2]], struct.unpack(f">{magic[3]}I", extents))


def idx_header(path: Path) -> Header:
    """Type and shape; nothing behind the header is read, but what it promises is compared with the size of the file."""
    size = regular_file(path)
    with _open(path) as stream:
        header = _parse(stream, path)
        start, packed = stream.tell(), isinstance(stream, gzip.GzipFile)
    must_fit(header.nbytes, shown(path))
    if packed and header.nbytes > DEFLATE_RATIO * size:
        raise fault(TOO_LARGE, f"{shown(path)} claims {header.nbytes:,} bytes in {size:,} compressed ones, more than compression can do")
    if not packed and header.nbytes != size - start:
        raise _unkept(header, f"{size - start:,}")
    return header


def read_idx(path: Path) -> tuple[Header, NDArray[Any]]:
    """The whole array, checked to have exactly the promised number of bytes."""
    import numpy as np

    header = idx_header(path)
    with _open(path) as stream:
        _parse(stream, path)
        data = stream.read(header.nbytes + 1)
    if len(data) != header.nbytes:
        raise _unkept(header, "more" if len(data) > header.nbytes else f"{len(data):,}")
    array = np.frombuffer(data, np.dtype(header.dtype).newbyteorder(">")).reshape(header.shape)
    return header, array.astype(header.dtype, copy=False)


def _unkept(header: Header, many: str) -> Exception:
    return fault(DAMAGED, f"{shown(header.path)}: the header promises {header.nbytes:,} bytes (shape {list(header.shape)}), "
                 f"but {many} are there")


def looks_idx(name: str) -> bool:
    """True if a file is named like an IDX file."""
    return IDX_NAME.search(name.lower()) is not None


def _role(name: str) -> tuple[str, str]:
    """Which part a file belongs to, and whether it holds samples or labels."""
    low = name.lower()
    return "test" if any(word in low for word in TEST_WORDS) else "train", "labels" if "label" in low or "idx1" in low else "samples"


def find_idx(path: Path) -> dict[str, dict[str, Path]]:
    """The files of a folder, or of one file and its partner: part -> samples and maybe labels.

    A name with t10k or test is of the test part; a name with label or idx1 holds labels.
    """
    with reading(path):
        if not path.is_dir():
            return {"train": _pair(path)}
        names = sorted(entry.name for entry in path.iterdir() if looks_idx(entry.name) and entry.is_file())
    found: dict[str, dict[str, Path]] = {}
    for name in names:
        part, role = _role(name)
        held = found.setdefault(part, {})
        if role in held and held[role].name != name.removesuffix(".gz"):
            raise fault(UNKNOWN_KIND, f"{shown(path)} has two files that could be the {role} of the {part} part: "
                        f"{shown(held[role].name)} and {shown(name)}", Hint("give the path of one file"))
        held.setdefault(role, path / name)
    for part, held in found.items():
        if "samples" not in held:
            raise fault(MISSING, f"{shown(path)} has labels of the {part} part but no samples ({listed(names)})")
    if "train" not in found:
        raise fault(MISSING, f"{shown(path)} has no IDX file of a training part" + (f" ({listed(names)})" if names else ""))
    return found


def _pair(path: Path) -> dict[str, Path]:
    """One file of samples and its labels, if they are beside it."""
    regular_file(path)
    partner = path.name.replace("images", "labels").replace("idx3", "idx1")
    for name in (partner, partner.removesuffix(".gz"), f"{partner}.gz"):
        if partner != path.name and (path.parent / name).is_file():
            return {"samples": path, "labels": path.parent / name}
    return {"samples": path}
