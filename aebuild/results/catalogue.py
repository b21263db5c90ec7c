"""Every rule there is, found by importing what declares them."""

from __future__ import annotations

import importlib
import pkgutil

import aebuild
from aebuild.lang.diagnostics import Rule


def every_rule() -> dict[str, Rule]:
    """All rules by code, in order; modules that need torch only to compute declare theirs without it."""
    for module in pkgutil.walk_packages(aebuild.__path__, "aebuild."):
        if module.name.split(".")[1] not in ("cli", "modules", "__main__"):
            importlib.import_module(module.name)
    return dict(sorted(Rule.catalogue.items()))
