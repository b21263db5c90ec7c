"""Tar archives as they are: members by their headers, read where they stand, never unpacked."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from aebuild.data.errors import fault, must_fit, reading, reason_of, regular_file, shown
from aebuild.data.rules import DAMAGED
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import open_regular

ENDING = ".tar"
LARGE = 1 << 28              # bytes of a member that are compared with the memory before they are read
LONGEST_HEADER = 1 << 20      # bytes of a name or of further attributes; real ones have some hundreds
_BROKEN = (tarfile.TarError, ValueError, OverflowError, EOFError, IndexError, KeyError, TypeError, RecursionError, MemoryError)


@dataclass(frozen=True)
class TarMember:
    """An ordinary file in an archive: its name, and where its header and its bytes stand."""

    name: str
    header: int
    data: int
    size: int


class _Forward(io.RawIOBase):
    """A file that is read forward in small pieces, as headers are; hostile ones ask for more, or go in circles."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._reached = 0

    def read(self, size: int = -1) -> bytes:
        """So many bytes."""
        if not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        found = self._file.read(size)
        self._reached = self._file.tell()
        return found

    def seek(self, place: int, whence: int = 0) -> int:
        """Never back over what was read."""
        if whence or place < self._reached - 1:
            raise tarfile.ReadError("its headers go in circles")
        return self._file.seek(place)

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell()


def members(path: Path) -> Iterator[TarMember | None]:
    """Every member in order, None for one that is no ordinary file: a folder, a link, a device.

    Only headers are read. Names that lead out of the archive, members that end beyond it, sparse ones and an archive
    without its end are refused.
    """
    size = regular_file(path)
    with reading(path), open_regular(path) as file:
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", _Forward(file)), mode="r:") as archive:
                while (info := archive.next()) is not None:
                    yield _checked(path, info, size)
                    archive.members = []             # type: ignore[attr-defined]  # or every header would stay in memory
                end = archive.offset
        except _BROKEN as error:
            file.seek(0)
            packed = file.read(2) == b"\x1f\x8b"
            raise fault(DAMAGED, f"{shown(path)} is {'compressed' if packed else 'no whole tar archive'}: {reason_of(error)}",
                        Hint("unpack it: members are read where they stand") if packed else None) from error
        file.seek(end)
        if (block := file.read(tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
            what = "a header is damaged" if block else "it is cut short"
            raise fault(DAMAGED, f"{shown(path)} is a damaged tar archive: {what} at byte {end:,}")


def _checked(path: Path, info: tarfile.TarInfo, size: int) -> TarMember | None:
    if not info.isreg():
        return None
    bad = None
    if info.issparse():
        bad = "is sparse, which is not read"
    elif info.name.startswith("/") or ".." in info.name.split("/"):
        bad = "has a name that leads out of the archive; such archives are not trusted"
    elif not 0 <= info.size <= size - info.offset_data:
        bad = f"claims {info.size:,} bytes, more than there are"
    if bad:
        raise fault(DAMAGED, f"{shown(path)}, member {shown(info.name)} {bad}")
    return TarMember(info.name, info.offset, info.offset_data, info.size)


def read_member(path: Path, start: int, size: int) -> bytes:
    """The bytes of a member; DataError if the archive has become shorter, or memory does not hold them."""
    if size > LARGE:
        must_fit(size, f"{shown(path)}, the member at byte {start:,},")
    with reading(path), open_regular(path) as file:
        file.seek(start)
        data = file.read(size)
    if len(data) < size:
        raise fault(DAMAGED, f"{shown(path)} ends within a member at byte {start:,}")
    return data


def member_name(path: Path, header: int) -> str:
    """The name in the header at this place, for a message."""
    with reading(path), open_regular(path) as file:
        file.seek(header)
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                found = archive.next()
        except _BROKEN:
            found = None
    return f"{shown(path)}, member {shown(found.name)}" if found is not None else f"{shown(path)}, member at byte {header:,}"
