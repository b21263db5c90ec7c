"""Downloads of published files: checked, atomic, and patient only for so long."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aebuild.data.errors import fault, shown
from aebuild.data.rules import DOWNLOAD
from aebuild.lang.diagnostics import DataError, Diagnostic, ResourceError

PIECE = 1 << 20


@dataclass(frozen=True)
class Remote:
    """A published file: its name, its size in bytes, and the SHA-256 of its bytes and of its unpacked content."""

    name: str
    size: int
    sha256: str
    content_sha256: str


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for more bytes, and for the whole file."""

    silence: float = 30.0
    total: float = 1800.0


class _Failed(Exception):
    """One mirror that did not deliver; the text says why."""


def fetch(remote: Remote, folder: Path, mirrors: Sequence[str], say: Callable[[str], None], patience: Patience | None = None) -> Path:
    """Downloads a file from the first mirror that delivers it whole.

    The file gets its name only after its size and checksum are right, so that no run ever sees half a file. Raises
    DataError with the reason of each mirror, ResourceError where the folder cannot be written.
    """
    reasons = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{remote.name}"
        say(f"downloading {url} ({remote.size / 1e6:.1f} MB)")
        try:
            return _store(remote, folder, url, patience or Patience())
        except _Failed as error:
            reasons.append(f"{url}: {error}")
    raise fault(DOWNLOAD, f"{remote.name} could not be downloaded; " + "; ".join(reasons or ["no address is known"]))


def _store(remote: Remote, folder: Path, url: str, patience: Patience) -> Path:
    part = folder / f".{remote.name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            _copy(remote, url, file.write, patience)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / remote.name)
        _sync_folder(folder)
    except OSError as error:
        raise ResourceError(Diagnostic(DOWNLOAD, f"{shown(folder / remote.name)} cannot be written: {shown(error.strerror or error)}",
                                       fix="set data.root or AEBUILD_DATA to a folder that can be written")) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return folder / remote.name


def _copy(remote: Remote, url: str, write: Callable[[bytes], object], patience: Patience) -> None:
    """Streams a file, and checks its size and checksum; every fault of the network is a _Failed."""
    digest, size, deadline = hashlib.sha256(), 0, time.monotonic() + patience.total
    for piece in _pieces(url, patience):
        size += len(piece)
        if size > remote.size:
            raise _Failed(f"it sent more than the {remote.size:,} bytes of the published file")
        if time.monotonic() > deadline:
            raise _Failed(f"it took longer than {patience.total:g} seconds")
        digest.update(piece)
        write(piece)
    if size < remote.size:
        raise _Failed(f"it stopped after {size:,} of {remote.size:,} bytes")
    if digest.hexdigest() != remote.sha256:
        raise _Failed(f"the SHA-256 is {digest.hexdigest()}, the published file has {remote.sha256}")


def _pieces(url: str, patience: Patience) -> Iterator[bytes]:
    """The pieces of an answer; the network's exceptions become _Failed, the disk's never pass through here."""
    from urllib.request import Request, urlopen

    with _network():
        answer = urlopen(Request(url, headers={"User-Agent": "aebuild", "Accept-Encoding": "identity"}), timeout=patience.silence)
    with answer:
        while True:
            with _network():
                piece = answer.read1(PIECE)
            if not piece:
                return
            yield piece


@contextmanager
def _network() -> Iterator[None]:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    try:
        yield
    except HTTPError as error:
        error.close()
        raise _Failed(f"the server answered {error.code} {shown(error.reason)}") from error
    except HTTPException as error:
        raise _Failed(f"the connection closed early ({shown(error) or type(error).__name__})") from error
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise _Failed(shown(reason) or type(reason).__name__) from error


def _sync_folder(folder: Path) -> None:
    """Makes the new name last through a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def gathered(error: DataError, title: str, folder: Path, remotes: Sequence[Remote]) -> DataError:
    """The one message that says which files to put where."""
    names = ", ".join(remote.name for remote in remotes)
    reasons = "; ".join(diagnostic.message for diagnostic in error.diagnostics)
    return fault(DOWNLOAD, f"{title} is not in {shown(folder)}, and {reasons}",
                 f"put these files into {shown(folder)}: {names} (or name another folder with data.root or AEBUILD_DATA)")
