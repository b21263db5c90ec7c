"""Ejected files as modules."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def fresh(source: str) -> dict[str, Any]:
    """The names that the file defines, as a module of its own."""
    module = sys.modules["ejected"] = ModuleType("ejected")        # dataclasses look there
    exec(compile(source, "ejected.py", "exec"), vars(module))
    return vars(module)
