"""Block form to list form: `{layer: conv, depth: 4, width: 128}` is four `conv` steps."""

from __future__ import annotations

from dataclasses import replace

from aebuild.compile.annotations import Shape, fields
from aebuild.compile.bind_errors import Blame
from aebuild.compile.desugar import lengthen_fields, mapping
from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer
from aebuild.lang.source import Tree

LENGTHS = Rule("AE109", "depth and widths of different length", """\
In block form `depth` is the number of layers, and a list under `width` has one entry for each. Give one of the two.

```yaml
encoder: {layer: conv, depth: 3, width: [64, 128]}
```
```yaml
encoder: {layer: conv, width: [64, 128, 256]}
```
""")

_STAGE_KEYS = ("seed", "adapter", "skip")
MOST = 10_000


def expand_block(tree: Tree, path: str, blame: Blame) -> Tree | None:
    """The same stage as a mapping of `steps`; each step keeps the spans of the block's keys."""
    assert isinstance(tree.value, dict)
    name = tree.value["layer"]
    layers = Shape("family", Layer)
    cls = layers.variants.get(name.value) if isinstance(name.value, str) else None
    if cls is None:
        blame.unknown_variant(name, layers, f"{path}.layer")
        return None
    allowed = {"layer", "depth", *_STAGE_KEYS, *fields(cls)}
    options = {}
    for key, child in tree.value.items():
        if key not in allowed:
            blame.unknown_key(child, key, cls, f"{path}.{key}", extra=sorted(allowed))
        elif key not in ("layer", "depth", *_STAGE_KEYS):
            options[key] = child
    if "depth" in tree.value and "depth" in fields(cls):             # a stack of its own
        options["depth"] = tree.value["depth"]
        tree = Tree({key: child for key, child in tree.value.items() if key != "depth"}, tree.span, tree.key)
    widths = _widths(tree, path, blame)
    if widths is None:
        return None
    options.pop("width", None)
    long = lengthen_fields(options, cls)
    head = Tree(name.value, name.span, name.key)
    steps = [Tree({"type": head, **({"width": width} if width is not None else {}), **long}, tree.span, tree.key)
             for width in widths]
    assert isinstance(tree.value, dict)
    kept = {key: child for key, child in tree.value.items() if key in _STAGE_KEYS}
    return mapping({"steps": Tree(tuple(steps), tree.span, tree.key), **kept}, tree)


def _widths(tree: Tree, path: str, blame: Blame) -> list[Tree | None] | None:
    assert isinstance(tree.value, dict)
    width, depth = tree.value.get("width"), tree.value.get("depth")
    count = None
    if depth is not None:
        if not isinstance(depth.value, int) or isinstance(depth.value, bool) or not 1 <= depth.value <= MOST:
            blame.say("bound", f"depth must be a whole number from 1 to {MOST:,}", depth, f"{path}.depth", None)
            return None
        count = depth.value
    if width is not None and isinstance(width.value, tuple):
        if count is not None and count != len(width.value):
            blame.report(LENGTHS, f"depth is {count} but width has {len(width.value)} entries", depth or width, f"{path}.depth",
                         f"depth: {len(width.value)}")
            return None
        if not width.value:
            blame.say("bound", "width needs at least one entry", width, f"{path}.width", "width: [64]")
            return None
        return list(width.value)
    if width is not None and isinstance(width.value, dict):
        return _ramp(width, count, path, blame)
    return [width] * (count or 1)


def _ramp(width: Tree, count: int | None, path: str, blame: Blame) -> list[Tree | None] | None:
    """Widths in equal ratios from `from` to `to`, one for each layer."""
    assert isinstance(width.value, dict)
    start, stop = (child.value if (child := width.value.get(key)) is not None else None for key in ("from", "to"))
    if len(width.value) != 2 or not _is_width(start) or not _is_width(stop):
        blame.say("bound", "a range of widths is {from: a, to: b} with whole numbers", width, f"{path}.width", "width: {from: 64, to: 512}")
        return None
    if count is None or count < 2:
        blame.say("bound", "a range of widths needs a depth of at least 2", width, f"{path}.width", "depth: 2")
        return None
    assert isinstance(start, int) and isinstance(stop, int)
    ratio = (stop / start) ** (1 / (count - 1))
    return [replace(width, value=round(start * ratio ** i)) for i in range(count)]


def _is_width(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
