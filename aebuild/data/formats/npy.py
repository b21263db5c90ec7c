"""The .npy and .npz formats: headers without data, arrays without pickle."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any

from aebuild.data.errors import fault, must_fit, reading, reason_of, regular_file, shown
from aebuild.data.rules import DAMAGED, OBJECTS, TOO_LARGE
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NPY = b"\x93NUMPY"
DEFLATE_RATIO = 1032          # deflate cannot shrink more than this


@dataclass(frozen=True)
class Member:
    """The header of one array: name (empty in a .npy), shape, type as numpy spells it, and where its data start."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return prod(self.shape) * self.dtype.itemsize

    def label(self, path: Path) -> str:
        """How a message calls it."""
        return f"{shown(path)}, array {shown(self.name)}" if self.name else shown(path)


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """What the zip and zlib libraries raise for damaged files becomes one message."""
    try:
        with reading(path):
            try:
                yield
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError, IndexError,
                    OverflowError) as error:
                raise fault(DAMAGED, f"{shown(path)} is damaged: {reason_of(error)}") from error
    except RecursionError as error:
        raise fault(DAMAGED, f"{shown(path)} is damaged: a header is nested too deeply") from error


def headers(path: Path) -> dict[str, Member]:
    """The headers of an .npz; an .npy's has the name "".

    No data are read. Raises DataError.
    """
    size = regular_file(path)
    with _unpacking(path), open_regular(path) as file:
        start = file.read(len(NPY))
        if start == NPY:
            file.seek(0)
            return {"": _checked(_header(file, "", shown(path)), shown(path), size)}
        if not start.startswith(b"PK"):
            raise fault(DAMAGED,
                        f"{shown(path)} is neither an .npz nor an .npy file; it starts with the bytes {start[:4].hex(' ') or '(none)'}")
        with zipfile.ZipFile(file) as archive:
            return {name: member for info in archive.infolist() if (found := _member(archive, info, path)) for name, member in [found]}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> tuple[str, Member] | None:
    if not info.filename.endswith(".npy"):
        return None
    if info.flag_bits & 1:
        raise fault(DAMAGED, f"{shown(path)}: {shown(info.filename)} is encrypted")
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as stream:
        member = _header(stream, name, f"{shown(path)}, array {shown(name)}")
    if info.file_size > DEFLATE_RATIO * info.compress_size + 65536 and info.compress_type == zipfile.ZIP_DEFLATED:
        raise fault(TOO_LARGE, f"{member.label(path)} claims {info.file_size:,} bytes out of {info.compress_size:,} compressed ones, "
                    "more than compression can do")
    return name, _checked(member, member.label(path), info.file_size)


def _header(stream: IO[bytes], name: str, where: str) -> Member:
    """Reads the header at the start of a stream."""
    import warnings

    from numpy.lib import format as npy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = npy.read_magic(stream)
            if version not in ((1, 0), (2, 0)):
                raise fault(DAMAGED,
                            f"{where}: version {version[0]}.{version[1]} of the format is for structured arrays, which are not read")
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            start = stream.tell()
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError, TokenError) as error:
        raise fault(DAMAGED, f"{where}: the header cannot be read ({reason_of(error)})") from error
    if dtype.hasobject:
        raise fault(OBJECTS, f"{where} holds Python objects, which only a pickle could restore; none is ever read",
                    Hint("numpy.savez with arrays of numbers"))
    return Member(name, tuple(shape), dtype, fortran, start)


def _checked(member: Member, where: str, size: int) -> Member:
    """Checks the header against the bytes that are there."""
    if any(extent < 0 for extent in member.shape):
        raise fault(DAMAGED, f"{where}: the header has a negative extent: {list(member.shape)}")
    if member.dtype.kind not in "biufUS" or member.dtype.names or member.dtype.subdtype:
        raise fault(DAMAGED, f"{where} has type {shown(member.dtype)}; numbers (or words, for labels) are wanted")
    if member.start + member.nbytes != size:
        raise fault(DAMAGED, f"{where}: the header promises {member.nbytes:,} bytes of data (shape {list(member.shape)}, "
                    f"{member.dtype}), but {size - member.start:,} are there")
    return member


def array_of(data: bytes, where: str) -> NDArray[Any]:
    """The array in the bytes of an .npy, exactly as many as its header promises; `where` is what a message calls it."""
    import numpy as np

    if not data.startswith(NPY):
        raise fault(DAMAGED, f"{where} is no .npy; it starts with the bytes {data[:4].hex(' ') or '(none)'}")
    member = _checked(_header(io.BytesIO(data), "", where), where, len(data))
    array = np.frombuffer(data, member.dtype, offset=member.start).reshape(member.shape, order="F" if member.fortran else "C")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_array(path: Path, member: Member) -> NDArray[Any]:
    """One array's data, exactly as many bytes as promised."""
    import numpy as np

    must_fit(member.nbytes, member.label(path))
    with _unpacking(path), open_regular(path) as file:
        if not member.name and file.read(len(NPY)) == NPY:
            file.seek(member.start)
            data = file.read(member.nbytes)
        else:
            with zipfile.ZipFile(file) as archive, archive.open(f"{member.name}.npy") as stream:
                data = _exactly(stream, member)
    if len(data) != member.nbytes:
        raise fault(DAMAGED, f"{member.label(path)} ends after {len(data):,} of {member.nbytes:,} bytes")
    flat = np.frombuffer(data, member.dtype)
    array = flat.reshape(member.shape, order="F" if member.fortran else "C")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def map_array(path: Path, member: Member) -> NDArray[Any]:
    """The array of an .npy that stays on disk: rows are read when they are taken."""
    import numpy as np

    with reading(path), open_regular(path) as file:
        mapped: NDArray[Any] = np.memmap(file, member.dtype, "r", member.start, member.shape, "F" if member.fortran else "C")
    return mapped


def _exactly(stream: IO[bytes], member: Member) -> bytes:
    """Reads the data behind the header, and the end, which compares the checksum."""
    stream.read(member.start)
    held = io.BytesIO()
    while held.tell() < member.nbytes and (piece := stream.read(min(1 << 24, member.nbytes - held.tell()))):
        held.write(piece)
    stream.read(1)
    return held.getvalue()
