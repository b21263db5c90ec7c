"""The user's cache folder: what may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where aebuild keeps what it can fetch or measure again; RuntimeError where nothing says where the user's home is."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "aebuild"
