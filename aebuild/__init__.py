"""aebuild: autoencoders from a spec.

`load` reads and checks a spec, `build` makes the module, `train` trains it into a run directory, `open_run` brings a trained
model back.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {"load": "aebuild.compile.front", "build": "aebuild.compile.build", "train": "aebuild.results.experiment",
          "open_run": "aebuild.results.open_run"}

__all__ = ["__version__", "build", "load", "open_run", "train"]

if TYPE_CHECKING:
    from aebuild.compile.build import build as build
    from aebuild.compile.front import load as load


def __getattr__(name: str) -> Any:
    """The public functions, imported when first used: checking a spec never loads torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'aebuild' has no attribute {name!r}")
