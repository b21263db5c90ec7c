"""Everything a spec can name, one file a part; found by walking this package."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache


@cache
def discover() -> None:
    """Import every part, so that each family knows its variants."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
