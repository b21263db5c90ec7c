"""Pastes a finding's fix where it belongs, as a reader of the message would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from aebuild.lang.diagnostics import Span
from aebuild.lang.source import read, read_value
from aebuild.lang.tree import Tree

Steps = tuple[Any, ...]
REMOVE = "remove "


def pasted(text: str, span: Span, fix: str) -> Iterator[str]:
    """The text with the fix at each place where it could be meant, the likeliest first.

    Literally in place of what is underlined; in place of the entry, or of the key's value, or as a new key, in the mapping
    around it and in those further out. `remove KEY` takes out the nearest key of that name.
    """
    yield _literal(text, span, fix)
    tree, _ = read(text, span.text.name)
    if tree is None:
        return
    root, places = tree.plain(), _places(tree, span)
    if fix.startswith(REMOVE):
        yield from map(json.dumps, _removed(root, places, fix.removeprefix(REMOVE)))
        return
    value = read_value(fix, "fix")[0]
    assert value is not None, f"{fix!r} is not YAML"
    for edited in _edited(root, places, value.plain()):
        yield json.dumps(edited)


def _literal(text: str, span: Span, fix: str) -> str:
    lines = text.split("\n")
    lines[span.line - 1:span.end_line] = [lines[span.line - 1][:span.column - 1] + fix + lines[span.end_line - 1][span.end_column - 1:]]
    return "\n".join(lines)


def _places(tree: Tree, span: Span) -> list[Steps]:
    """The steps to everything that the span lies in, or whose key it is, innermost first."""
    found: list[Steps] = []
    for step, child in _below(tree):
        found += [(step, *steps) for steps in _places(child, span)]
    return found + [()] if found or _holds(tree.span, span) or (tree.key and _holds(tree.key, span)) else found


def _below(tree: Tree) -> list[tuple[Any, Tree]]:
    if isinstance(tree.value, dict):
        return [*tree.value.items()]
    return [*enumerate(tree.value)] if isinstance(tree.value, tuple) else []


def _holds(outer: Span, inner: Span) -> bool:
    return (outer.line, outer.column) <= (inner.line, inner.column) and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)


def _at(root: Any, steps: Steps) -> Any:
    for step in steps:
        root = root[step]
    return root


def _removed(root: Any, places: list[Steps], key: str) -> Iterator[Any]:
    for steps in places:
        for inner in ((*steps, key), steps):
            new = deepcopy(root)
            holder = _at(new, inner[:-1]) if inner else None
            known = isinstance(holder, dict) and key == inner[-1] and key in holder
            if known or isinstance(holder, list) and inner == steps and (holder[inner[-1]] == key or key in holder[inner[-1]]):
                del holder[inner[-1]]
                yield new


def _edited(root: Any, places: list[Steps], value: Any) -> Iterator[Any]:
    entry = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else None
    for number, steps in enumerate(places):
        new = deepcopy(root)
        holder, node = _at(new, steps[:-1]) if steps else None, _at(new, steps)
        if entry and isinstance(holder, dict):
            yield _put(root, steps[:-1], {entry[0] if key == steps[-1] else key: entry[1] if key == steps[-1] else child
                                          for key, child in holder.items()})
        if entry and isinstance(node, dict):
            yield _put(root, steps, _merged(node, value))
            yield _put(root, steps, {**node, **value})
            if number == 0 and len(node) == 1 and isinstance(inner := next(iter(node.values())), dict):      # a step in a list
                yield _put(root, steps, {key: {**inner, **value} for key in node})
        if number == 0 and steps:
            yield _put(root, steps, value)
            if isinstance(holder, dict) and isinstance(value, str):
                yield _put(root, steps[:-1], {value if key == steps[-1] else key: child for key, child in holder.items()})
        if isinstance(holder, list):
            yield _put(root, steps, value)


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _merged(old[key], child) if key in old else child for key, child in new.items()}}


def _put(root: Any, steps: Steps, value: Any) -> Any:
    if not steps:
        return value
    new = deepcopy(root)
    _at(new, steps[:-1])[steps[-1]] = value
    return new
