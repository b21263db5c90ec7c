"""`extends` and `--set`: long trees laid over each other."""

from __future__ import annotations

from aebuild.compile.short import parse_setting
from aebuild.lang.diagnostics import Diagnostic, Rule, Span, Text
from aebuild.lang.source import Tree, read_value
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
    for chooser in ("type", "layer"):
        new, old = over.value.get(chooser), base.value.get(chooser)
        if new is not None and (old is None or old.value != new.value):
            return over
    if ("steps" in over.value) != ("steps" in base.value) and ("layer" in base.value or "layer" in over.value):
        return over
    merged = dict(base.value)
    for key, child in over.value.items():
        if child.value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged[key], child) if key in merged else child
    return Tree(merged, over.span, over.key)


def apply_set(tree: Tree, setting: str) -> tuple[Tree, list[Diagnostic]]:
    """The tree with one `path=value` or short form (`--epochs=5`) applied; null deletes."""
    parsed = parse_setting(setting)
    if parsed is None:
        span = Span(Text("--set", (setting,)), 1, 1, 1, len(setting.partition("=")[0]) + 1)
        return tree, [Diagnostic(BAD_SET, f"{setting!r} is not path=value", span, "--set train.epochs=5")]
    value, found = read_value(parsed.value, parsed.source)
    if value is None:
        return tree, found
    try:
        put = _put(tree, parsed.path.split("."), Tree(value.value, value.span, parsed.span))
        return _without(put, parsed.instead.split(".")) if parsed.instead and value.value is not None else put, found
    except _BadPath as bad:
        return tree, [*found, Diagnostic(BAD_SET, bad.message, parsed.span, bad.fix, parsed.path)]


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
    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


def _put(tree: Tree, path: list[str], value: Tree) -> Tree:
    head, rest = path[0], path[1:]
    if isinstance(tree.value, tuple):
        if not head.isdecimal() or int(head) >= len(tree.value):
            raise _BadPath(f"{head!r} is not an entry of this list: it has {len(tree.value)}, counted from 0",
                           (f"use 0 to {len(tree.value) - 1}" if len(tree.value) > 1 else "use 0") if tree.value else None)
        items = list(tree.value)
        index = int(head)
        if not rest and value.value is None:
            del items[index]
        else:
            items[index] = _put(items[index], rest, value) if rest else value
        return Tree(tuple(items), tree.span, tree.key)
    if isinstance(tree.value, dict):
        entries = dict(tree.value)
        if head.isdecimal() and head not in entries and isinstance(entries.get("steps"), Tree):
            entries["steps"] = _put(entries["steps"], path, value)
            return Tree(entries, tree.span, tree.key)
        if not rest and value.value is None:
            if head not in entries:
                best = closest(head, entries)
                raise _BadPath(f"there is no {head!r} to delete", f"{best}=null" if best else None)
            del entries[head]
        elif rest:
            entries[head] = _put(entries.get(head, Tree({}, value.span, value.key)), rest, value)
        else:
            entries[head] = value
        return Tree(entries, tree.span, tree.key)
    raise _BadPath(f"{head!r} cannot be set inside {tree.value!r}, which is a single value")
