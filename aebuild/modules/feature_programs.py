"""Features by a program that somebody else trained: TorchScript, or what torch.export wrote."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import is_zipfile

import torch
from torch import Tensor, nn

SCRIPTS, EXPORTED = (".pt", ".ts"), (".pt2",)
SUFFIXES = (*SCRIPTS, *EXPORTED)


def sha256_of(held: bytes) -> str:
    """In 64 hexadecimal digits."""
    return hashlib.sha256(held).hexdigest()


def feature_program(held: bytes, suffix: str) -> Callable[[Tensor], Tensor]:
    """The function [N, ...] to [N, ...] that a file's bytes hold, in evaluation mode on the CPU.

    ValueError if they hold none.
    """
    if not is_zipfile(BytesIO(held)):
        raise ValueError("it holds no program that torch can load: it is no ZIP archive, as those are")
    log = logging.getLogger("torch.export")
    before, log.disabled = log.disabled, True           # it would tell a broken file's whole traceback besides
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning):         # TorchScript is deprecated, and still what such networks come as
                warnings.filterwarnings("ignore", r".*torch\.jit", category)
            if suffix in EXPORTED:
                exported: Callable[[Tensor], Tensor] = torch.export.load(BytesIO(held)).module()
                return exported
            script: Callable[[Tensor], Tensor] = torch.jit.load(BytesIO(held), "cpu").eval()  # type: ignore[no-untyped-call]
            return script
    except Exception as error:          # a foreign file: torch raises whatever the broken part of it led to
        raise ValueError(f"it holds no program that torch can load: {_said(error)}") from error
    finally:
        log.disabled = before


def program_of(path: str, sha256: str | None) -> nn.Module:
    """The program in a file, in evaluation mode; ValueError if it is not there, is another one, or holds none."""
    try:
        held = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    found = sha256_of(held)
    if sha256 is not None and found != sha256:
        raise ValueError(f"{path} has SHA-256 {found}, not {sha256}: it is another file than the one that was meant")
    try:
        program = feature_program(held, Path(path).suffix)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    assert isinstance(program, nn.Module), "torch loads modules"
    return program


@torch.no_grad()
def program_features(program: Callable[[Tensor], Tensor], x: Tensor, batch: int = 256) -> Tensor:
    """[N, F] of samples [N, ...]; ValueError if the program takes no such samples, or gives no row of finite numbers for each."""
    found = []
    for part in torch.split(x, batch):
        try:
            given = program(part)
        except Exception as error:      # a foreign program: whatever it raises is what is to be told
            raise ValueError(f"it does not take samples of {tuple(part.shape)}: {_said(error)}") from error
        if not isinstance(given, Tensor) or given.ndim < 2 or len(given) != len(part) or not given.isfinite().all():
            raise ValueError(f"for {len(part):,} samples it gives no {len(part):,} rows of finite numbers")
        found.append(given.flatten(1).float())
    return torch.cat(found)


def _said(error: Exception) -> str:
    """The last line that says something: scripts tell the place before the reason."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
