"""How the readers report what is wrong: one error with a file, a record and a remedy."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from aebuild.data.rules import MISSING, TOO_LARGE
from aebuild.lang.diagnostics import DataError, Diagnostic, Hint, Rule
from aebuild.lang.part import Part
from aebuild.lang.regular_files import open_regular
from aebuild.lang.suggest import closest

CONTAINER = Path("/sys/fs/cgroup/memory.max")       # of cgroup v2: a number of bytes, or the word max


def shown(name: object) -> str:
    """A name as it may be printed: control and other unprintable characters escaped, long ones shortened."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii", "replace")
                   for c in str(name).encode("utf-8", "backslashreplace").decode("utf-8"))
    return text if len(text) <= 200 else f"{text[:80]}…{text[-80:]}"


def listed(names: Iterable[object], most: int = 8) -> str:
    """Names with commas, the rest counted."""
    words = [shown(name) for name in names]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def fault(rule: Rule, message: str, fix: str | None = None, *, part: Part | None = None, at: tuple[str, ...] = ()) -> DataError:
    """The error to raise; `at` names the spec's fields to underline."""
    return DataError(Diagnostic(rule, message, part.place(*at) if part else None, fix))


def similar(word: object, known: Iterable[object]) -> str | None:
    """The known name that this one was probably meant to be."""
    return closest(str(word), [str(name) for name in known])


@contextmanager
def blamed(part: Part, *fields: str) -> Iterator[None]:
    """Errors without a place of their own underline these fields; memory that runs out is the data's to answer for."""
    try:
        yield
    except MemoryError as error:
        what = shown(getattr(part, "path", "the data"))
        advice = Hint("a smaller `limit`, fewer columns, or a format that stays on disk with `stream: true`")
        raise fault(TOO_LARGE, f"{what} took more memory than this machine has free", advice, part=part, at=fields) from error
    except DataError as error:
        raise DataError(*(d if d.span else replace(d, span=part.place(*fields)) for d in error.diagnostics)) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """The system's refusals become one message that names the file."""
    try:
        yield
    except PermissionError as error:
        raise fault(MISSING, f"{shown(path)} may not be read (permission denied)",
                    Hint(f"chmod u+r {shown(path)}")) from error
    except (OSError, ValueError) as error:
        raise fault(MISSING, f"{shown(path)} cannot be read: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    return shown(error.strerror) if isinstance(error, OSError) and error.strerror else shown(error)


def reason_of(error: BaseException) -> str:
    """The first line of what an exception says, else its name."""
    lines = str(error).strip().splitlines()
    return shown(lines[0]) if lines else type(error).__name__


def regular_file(path: Path) -> int:
    """The size of a readable ordinary file; refuses anything else."""
    with reading(path):
        try:
            found = path.stat()
        except FileNotFoundError:
            raise absent(path) from None
        if stat.S_ISDIR(found.st_mode):
            raise fault(MISSING, f"{shown(path)} is a folder; a file is wanted here")
        if not stat.S_ISREG(found.st_mode):
            raise fault(MISSING, f"{shown(path)} is not an ordinary file")
        with open_regular(path):
            return found.st_size


def path_fix(path: str) -> str:
    """The key with a path, as YAML to paste."""
    from aebuild.lang.emit import emit

    return emit({"path": path}).strip()


def absent(path: Path, written: str | None = None) -> DataError:
    """The error for a path where nothing is; `written` is how the spec writes it, from which a fix can be made."""
    hint = " (~ and $ are not expanded)" if "~" in path.parts or "$" in str(path) else ""
    if path.is_symlink():
        return fault(MISSING, f"{shown(path)} is a link to nothing")
    try:
        near = similar(path.name, sorted(os.listdir(path.parent))[:10_000])
    except OSError:
        near = None
    if near is None:
        return fault(MISSING, f"{shown(path)} does not exist{hint}")
    fix = Hint(f"did you mean {shown(near)}?") if written is None else path_fix(str(Path(written).with_name(near)))
    return fault(MISSING, f"{shown(path)} does not exist{hint}", fix)


def memory() -> int:
    """Bytes that samples may take: three quarters of the memory of this machine, or of the container it shows us."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        whole = 16 << 30
    with suppress(OSError, ValueError):
        whole = min(whole, int(CONTAINER.read_text()))
    return whole * 3 // 4


def must_fit(size: int, what: str, fix: str | None = None) -> None:
    """Refuses, before allocating, what takes more bytes than `memory` allows."""
    if size > (allowed := memory()):
        raise fault(TOO_LARGE, f"{what} would take {gigabytes(size)}; data may take {gigabytes(allowed)} on this machine", fix)


def gigabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 2**30:,.1f} GiB" if size < 2**60 else "more than an exbibyte"
