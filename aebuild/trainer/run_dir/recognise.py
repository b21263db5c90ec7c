"""Which folders are run directories; never loads torch."""

from __future__ import annotations

import os
from pathlib import Path

FILES = ("spec.yaml", "plan.json", "data.json")


def lacking(folder: Path) -> list[str]:
    """The files that make a folder a run directory and that it has not."""
    return [name for name in FILES if not os.path.exists(folder / name)]


def is_run(folder: Path) -> bool:
    """True for a run directory."""
    return not lacking(folder)
