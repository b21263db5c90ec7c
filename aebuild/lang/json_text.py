"""JSON as every program reads it."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any, indent: int | None = None, *, ascii_alone: bool = False) -> str:
    """The value as JSON, with null for NaN and infinity, which JSON does not have."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=ascii_alone, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
