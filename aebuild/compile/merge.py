"""`extends` and `--set`: long trees laid over each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aebuild.compile.annotations import fields
from aebuild.compile.short_options import parse_setting
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, Span, Text
from aebuild.lang.dict_source import tree_of
from aebuild.lang.source import MAX_DEPTH, MAX_NODES, Tree, read_value
from aebuild.lang.suggest import closest

BAD_SET = Rule("AE110", "a setting that cannot be made", """\
`--set path=value` changes one value of the spec. The path is written with dots; entries of lists are numbered from 0.

```
aebuild train vae.yaml --set encoder.widht.0=64
```
```
aebuild train vae.yaml --set encoder.width.0=64
```
""")


def merge(base: Tree, over: Tree) -> Tree:
    """Mappings by key; lists, and mappings whose `type` or `layer` changed, are replaced whole; null deletes."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if _is_another(base.value, over.value):
        return over
    merged = dict(base.value)
    for key, child in over.value.items():
        if child.value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged[key], child) if key in merged else child
    return Tree(merged, over.span, over.key)


def over_data(tree: Tree, keys: Mapping[str, Any]) -> Tree:
    """The tree with other data: their keys lie over those of the spec, whose kind is told from the path again.

    So how a file is read, scaled and divided stays as it is written; a known set in the spec is replaced whole.
    """
    over, _ = tree_of({"data": dict(keys)})
    found = merge(tree, over)
    for key in ("type", "array"):
        found = found if key in keys else _without(found, ["data", key])
    return found


def _is_another(base: dict[str, Tree], over: dict[str, Tree]) -> bool:
    """True if the mappings stand for different things, so that nothing of the one belongs to the other."""
    new, old = over.get("type"), base.get("type")
    if new is None and old is not None and "path" in over and not _takes_path(old):          # own data in place of a known set
        return True
    if new is not None and old is None and "path" in base:          # the kind, which would be told from the path, is said
        return not _takes_path(new)
    for chooser in ("type", "layer"):
        new, old = over.get(chooser), base.get(chooser)
        if new is not None and (old is None or old.value != new.value):
            return True
    return ("steps" in over) != ("steps" in base) and ("layer" in base or "layer" in over)


def _takes_path(kind: Tree) -> bool:
    """True for a kind of data that are found by path: it may be said in one file, and the path in another."""
    cls = Dataset.variants.get(kind.value) if isinstance(kind.value, str) else None
    return cls is not None and "path" in fields(cls)


def apply_set(tree: Tree, setting: str) -> tuple[Tree, list[Diagnostic]]:
    """The tree with one `path=value` or short form (`--epochs=5`) applied; null deletes."""
    parsed = parse_setting(setting)
    if parsed is None:
        span = Span(Text("--set", (setting,)), 1, 1, 1, len(setting.partition("=")[0]) + 1)
        return tree, [Diagnostic(BAD_SET, f"{setting!r} is not path=value", span, "--set train.epochs=5")]
    steps = parsed.path.split(".")
    if len(steps) > MAX_DEPTH:
        deep = f"a path of {len(steps):,} steps leads deeper than the {MAX_DEPTH} levels of a spec"
        return tree, [Diagnostic(BAD_SET, deep, parsed.span)]
    value, found = read_value(parsed.value, parsed.source)
    if value is None:
        return tree, found
    try:
        put = _put(tree, steps, Tree(value.value, value.span, parsed.span))
        return _without(put, parsed.instead.split(".")) if parsed.instead and value.value is not None else put, found
    except _BadPath as bad:
        fix = bad.fix if bad.meant is None else f"{parsed.path.rpartition('.')[0]}.{bad.meant}=null".removeprefix(".")
        return tree, [*found, Diagnostic(BAD_SET, bad.message, parsed.span, fix, parsed.path)]


def _without(tree: Tree, path: list[str]) -> Tree:
    """The tree without the value at this path, whether there is one or not."""
    child = tree.get(path[0])
    if child is None or not isinstance(tree.value, dict):
        return tree
    entries = {key: value for key, value in tree.value.items() if key != path[0]}
    if path[1:]:
        entries[path[0]] = _without(child, path[1:])
    return Tree(entries, tree.span, tree.key)


class _BadPath(Exception):
    def __init__(self, message: str, fix: Hint | None = None, meant: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.meant = meant          # the key that the last one of the path was meant to be


def _put(tree: Tree, path: list[str], value: Tree) -> Tree:
    head, rest = path[0], path[1:]
    if isinstance(tree.value, tuple):
        index = _number(head)
        if index is None or index >= len(tree.value):
            raise _BadPath(f"{head!r} is not an entry of this list: it has {len(tree.value)}, counted from 0",
                           Hint(f"use 0 to {len(tree.value) - 1}" if len(tree.value) > 1 else "use 0") if tree.value else None)
        items = list(tree.value)
        if not rest and value.value is None:
            del items[index]
        else:
            items[index] = _put(items[index], rest, value) if rest else value
        return Tree(tuple(items), tree.span, tree.key)
    if isinstance(tree.value, dict):
        entries = dict(tree.value)
        if _number(head) is not None and head not in entries and isinstance(entries.get("steps"), Tree):
            entries["steps"] = _put(entries["steps"], path, value)
            return Tree(entries, tree.span, tree.key)
        if not rest and value.value is None:
            if head not in entries:
                raise _BadPath(f"there is no {head!r} to delete", meant=closest(head, entries))
            del entries[head]
        elif rest:
            entries[head] = _put(entries.get(head, Tree({}, value.span, value.key)), rest, value)
        else:
            entries[head] = value
        return Tree(entries, tree.span, tree.key)
    raise _BadPath(f"{head!r} cannot be set inside {tree.value!r}, which is a single value")


def _number(word: str) -> int | None:
    """The place in a list that the word is; None for any other word, or one beyond all lists."""
    return int(word) if word.isascii() and word.isdecimal() and len(word) <= len(str(MAX_NODES)) else None
