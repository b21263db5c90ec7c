"""aebuild: autoencoders from a spec.

`load` reads and checks a spec, `plan` types and costs it, `build` makes the module, `train` trains it into a run directory,
`open_run` brings a trained model back. A spec is a file, a dict, a run directory, or the name of one that comes with aebuild.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["__version__", "build", "load", "open_run", "plan", "train"]

if TYPE_CHECKING:
    from aebuild.api import build as build
    from aebuild.api import load as load
    from aebuild.api import open_run as open_run
    from aebuild.api import plan as plan
    from aebuild.api import train as train


def __getattr__(name: str) -> Any:
    """The public functions, imported when first used: asking for the version loads nothing."""
    if name in __all__:
        return getattr(importlib.import_module("aebuild.api"), name)
    raise AttributeError(f"module 'aebuild' has no attribute {name!r}; it has {', '.join(__all__[1:])}")


def __dir__() -> list[str]:
    """The public names, whether they are loaded yet or not, and none that this file only needs itself."""
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
