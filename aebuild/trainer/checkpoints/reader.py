"""A checkpoint folder as it is read: verified, whole or in pieces, tensor by tensor."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import safetensors
import torch
from torch import Tensor

from aebuild.lang.regular_files import open_regular, read_regular
from aebuild.trainer.run_dir.records import LIMIT, LayoutRecord, Malformed, Manifest, Seal, decoded, held

WHOLE, IN_PIECES = 1, 2      # formats: each kind of tensors in one file, or in one of each process


class Damaged(Exception):
    """A checkpoint folder that is incomplete or was changed; the message says how."""


def piece_name(kind: str, number: int, pieces: int) -> str:
    """The file of one process, as others who divide safetensors name it: `model-00001-of-00002.safetensors`."""
    return f"{kind}-{number + 1:05}-of-{pieces:05}.safetensors"


@dataclass(frozen=True)
class Extent:
    """The full shape of a tensor and, if it is divided, the rows at which its pieces begin and the last one ends."""

    shape: tuple[int, ...]
    rows: tuple[int, ...] | None = None


class CheckpointReader:
    """A folder with a manifest; what is read from it is verified first, by `verify` or on reading. Damaged if it differs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.format, self._seals = _manifest(folder)
        self._layout = _layout(self.document("layout.json")) if self.in_pieces else LayoutRecord(pieces=1)
        self._pieces = self._layout.pieces
        if self._pieces > len(self._seals):
            raise Damaged(f"its layout tells of {self._pieces:,} pieces, its manifest of {len(self._seals):,} files")
        kinds = [kind for kind in ("model", "trainer") if getattr(self._layout, kind)] if self.in_pieces else ["model"]
        missing = {"state.json", *(name for kind in kinds for name in self.files(kind))} - self._seals.keys()
        if missing:
            raise Damaged(f"its manifest lacks {min(missing)}")

    @property
    def in_pieces(self) -> bool:
        """True if every process wrote its own files."""
        return self.format == IN_PIECES

    @property
    def names(self) -> list[str]:
        """The files in the manifest."""
        return sorted(self._seals)

    def files(self, kind: str) -> list[str]:
        """The files that hold the tensors of a kind, one a piece."""
        return [piece_name(kind, number, self._pieces) for number in range(self._pieces)] if self.in_pieces else [f"{kind}.safetensors"]

    def read(self, name: str) -> bytes:
        """All bytes of a file, verified."""
        try:
            with self._sized(name) as stream:
                data = stream.read(self._seals[name].bytes)
        except OSError as error:
            raise Damaged(f"{name}: {error.strerror}") from error
        self._compare(name, hashlib.sha256(data).hexdigest())
        return data

    def document(self, name: str) -> Any:
        """A JSON file, verified."""
        if name not in self._seals:
            raise Damaged(f"its manifest lacks {name}")
        if self._seals[name].bytes > LIMIT:
            raise Damaged(f"{name} has {self._seals[name].bytes:,} bytes, more than {LIMIT:,}")
        try:
            return decoded(self.read(name), name)
        except Malformed as error:
            raise Damaged(str(error)) from error

    def has(self, kind: str) -> bool:
        """True if it holds tensors of this kind."""
        return self.files(kind)[0] in self._seals

    def verify(self, number: int = 0, of: int = 1) -> None:
        """Reads every `of`-th file from this one on, without holding it."""
        for name in self.names[number::of]:
            try:
                with self._sized(name) as stream:
                    self._compare(name, hashlib.file_digest(stream, "sha256").hexdigest())  # type: ignore[arg-type]
            except OSError as error:
                raise Damaged(f"{name}: {error.strerror}") from error

    @contextmanager
    def _sized(self, name: str) -> Iterator[IO[bytes]]:
        """A regular file of the size that the manifest tells, which is known before it is read."""
        with open_regular(self.folder / name) as stream:
            size, wanted = os.fstat(stream.fileno()).st_size, self._seals[name].bytes
            if size != wanted:
                raise Damaged(f"{name} has {size:,} bytes instead of {wanted:,}")
            yield stream

    def _compare(self, name: str, digest: str) -> None:
        if digest != self._seals[name].sha256:
            raise Damaged(f"{name} does not have the SHA-256 of its manifest")

    def tensors(self, kind: str, rows: Callable[[str, Extent], tuple[int, int] | None] = lambda name, extent: None) -> dict[str, Tensor]:
        """All tensors of a kind, of each only the rows between these bounds where `rows` gives any; verify the files before."""
        if not self.has(kind):
            return {}
        with self._opened(kind) as files:
            return {name: _rows(files, name, extent, rows(name, extent)) for name, extent in self._extents(kind, files).items()}

    @contextmanager
    def _opened(self, kind: str) -> Iterator[list[Any]]:
        try:
            with ExitStack() as stack:
                yield [stack.enter_context(safetensors.safe_open(self.folder / name, "pt")) for name in self.files(kind)]
        except OSError as error:
            raise Damaged(f"{kind}: {error.strerror or error}") from error
        except (safetensors.SafetensorError, IndexError, KeyError, RuntimeError) as error:
            raise Damaged(f"it cannot be decoded: {error}") from error

    def _extents(self, kind: str, files: list[Any]) -> dict[str, Extent]:
        if not self.in_pieces:
            return {name: Extent(tuple(files[0].get_slice(name).get_shape())) for name in files[0].keys()}  # noqa: SIM118
        lies = self._layout.model if kind == "model" else self._layout.trainer
        return {name: Extent(tuple(lie.shape), tuple(lie.rows) if lie.rows is not None else None) for name, lie in lies.items()}


def _rows(files: list[Any], name: str, extent: Extent, bounds: tuple[int, int] | None) -> Tensor:
    """Rows of a tensor from all pieces that hold some; all rows without bounds."""
    if extent.rows is None and bounds is None:
        whole: Tensor = files[0].get_tensor(name)
        return whole
    edges = extent.rows or (0, extent.shape[0])
    start, stop = bounds or (0, extent.shape[0])
    found = []
    for file, (first, last) in zip(files, pairwise(edges), strict=False):
        if max(first, start) < min(last, stop):
            found.append(file.get_slice(name)[max(first, start) - first:min(last, stop) - first])
    return torch.cat(found) if found else files[0].get_tensor(name)[:0]


def _layout(document: Any) -> LayoutRecord:
    try:
        return held(LayoutRecord, document, "layout.json")
    except Malformed as error:
        raise Damaged(str(error)) from error


def _manifest(folder: Path) -> tuple[int, dict[str, Seal]]:
    try:
        manifest = held(Manifest, decoded(read_regular(folder / "manifest.json", LIMIT), "manifest.json"), "manifest.json")
    except OSError as error:
        raise Damaged(f"manifest.json: {error.strerror}") from error
    except Malformed as error:
        raise Damaged(f"manifest.json is not a manifest: {error}") from error
    if manifest.format not in (WHOLE, IN_PIECES):
        raise Damaged(f"its format is {manifest.format!r}, this version reads {WHOLE} and {IN_PIECES}")
    return manifest.format, manifest.files
