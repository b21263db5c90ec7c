"""Nested state as JSON and a flat table of tensors; never a pickle."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from torch import Tensor


def pack(value: Any, tensors: dict[str, Tensor], path: str = "state") -> Any:
    """The JSON form of a nested state; its tensors go into `tensors` under their paths.

    What JSON has no word for is a one-key mapping that begins with `~`: tuples, mappings with keys that are not text,
    counters, and numbers that are not finite. TypeError for anything else.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"~float": repr(float(value))}
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"~tensor": path}
    if isinstance(value, dict):
        return _pack_mapping(value, tensors, path)
    if isinstance(value, list | tuple):
        items = [pack(item, tensors, f"{path}.{index}") for index, item in enumerate(value)]
        return {"~tuple": items} if isinstance(value, tuple) else items
    raise TypeError(f"{path} is a {type(value).__name__}, which a checkpoint cannot hold")


def _pack_mapping(value: dict[Any, Any], tensors: dict[str, Tensor], path: str) -> Any:
    packed = {key: pack(item, tensors, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, Counter):
        return {"~counter": list(map(list, packed.items()))}
    if all(isinstance(key, str) and not key.startswith("~") for key in packed):
        return packed
    return {"~pairs": [[pack(key, tensors, path), item] for key, item in packed.items()]}


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The nested state that `pack` took apart."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (word, inner), = value.items()
        match word:
            case "~float":
                return float(inner)
            case "~tensor":
                return tensors[inner]
            case "~tuple":
                return tuple(unpack(item, tensors) for item in inner)
            case "~counter":
                return Counter(dict(inner))
            case "~pairs":
                return {unpack(key, tensors): unpack(item, tensors) for key, item in inner}
    return {key: unpack(item, tensors) for key, item in value.items()}
