"""A spec that is a dict already, as a tree whose places are paths."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from aebuild.lang import yaml_limits
from aebuild.lang.diagnostics import Diagnostic, Span, Text
from aebuild.lang.source import parse_scalar
from aebuild.lang.tree import Tree
from aebuild.lang.yaml_limits import MAX_DEPTH


def tree_of(spec: Mapping[str, Any]) -> tuple[Tree, list[Diagnostic]]:
    """The tree, and which numbers it cannot hold; each place is called by its path, like `encoder.width.1`.

    TypeError, with the path, for a value that no spec holds.
    """
    found: list[Diagnostic] = []
    return _tree(spec, "", found, 0, None), found


def _tree(value: Any, path: str, found: list[Diagnostic], depth: int, key: Span | None) -> Tree:
    place = path or "spec"
    if depth > MAX_DEPTH:
        span = _span(place, "…")
        found.append(Diagnostic(yaml_limits.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels", span))
        return Tree(None, span, key, damaged=True)
    if isinstance(value, Mapping):
        entries = {}
        for name, child in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{place}: keys are text, not {name!r}")
            inner = f"{path}.{name}" if path else name
            entries[name] = _tree(child, inner, found, depth + 1, _span(inner, name))
        return Tree(entries, _span(place, "{…}"), key)
    if isinstance(value, list | tuple):
        items = tuple(_tree(child, f"{path}.{index}", found, depth + 1, None) for index, child in enumerate(value))
        return Tree(items, _span(place, "[…]"), key)
    return _scalar(value, place, found, key)


def _scalar(value: Any, place: str, found: list[Diagnostic], key: Span | None) -> Tree:
    if value is None or isinstance(value, bool | str):
        return Tree(value, _span(place, "null" if value is None else str(value)), key)
    if isinstance(value, os.PathLike):
        return Tree(os.fspath(value), _span(place, str(value)), key)
    if isinstance(value, int | float):
        written = repr(float(value) if isinstance(value, float) else int(value))
        if not math.isfinite(value):
            written = f".{written}" if written[0] != "-" else f"-.{written[1:]}"
        tree, doubts = parse_scalar(written, _span(place, written))
        found += doubts
        return Tree(tree.value, tree.span, key, tree.damaged)
    raise TypeError(f"{place}: a spec holds numbers, text, lists and dicts, not {type(value).__name__}")


def _span(place: str, written: str) -> Span:
    line = " ".join(written.split()) or written
    return Span(Text(place, (line,)), 1, 1, 1, len(line) + 1)
