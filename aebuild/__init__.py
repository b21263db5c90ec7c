"""aebuild: autoencoders from a spec.

`load` reads and checks a spec file, `plan` types and costs a spec, `build` makes the module, `train` trains a spec into a run
directory, `open_run` brings a trained model back.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {"load": "aebuild.compile.front", "plan": "aebuild.compile.planner", "build": "aebuild.compile.build",
          "train": "aebuild.results.experiment", "open_run": "aebuild.results.open_run"}

__all__ = ["__version__", "build", "load", "open_run", "plan", "train"]

if TYPE_CHECKING:
    from aebuild.compile.build import build as build
    from aebuild.compile.front import load as load
    from aebuild.compile.planner import plan as plan
    from aebuild.results.experiment import train as train
    from aebuild.results.open_run import open_run as open_run


def __getattr__(name: str) -> Any:
    """The public functions, imported when first used: checking a spec never loads torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'aebuild' has no attribute {name!r}")
