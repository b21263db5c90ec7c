"""Where a word of a spec leads: a file, or a step of the same spec."""

from __future__ import annotations

from lsprotocol import types

from aebuild.lang.tree import Tree
from aebuild.lsp.document import Document
from aebuild.lsp.findings import uri
from aebuild.lsp.outline import spot_at

NAMING = ("from", "to", "freeze")           # keys whose text names a step
FILES = ("extends", "path", "file")


def definition(document: Document, line: int, column: int) -> types.Location | None:
    """The step that a path such as `encoder.1` names, or the file that `extends` or a path of data does."""
    at = spot_at(document.tree, line, column) if document.tree is not None and document.is_spec else None
    if at is None or not isinstance(word := at[0].tree.value, str) or not word or "\0" in word:
        return None
    step = at[0].step
    target = _step(document.tree, word) if document.tree is not None and (step in NAMING or "." in word) else None
    if target is not None and target is not at[0].tree:
        return types.Location(uri(document), document.positions.range(target.span))
    return _file(document, word) if step in FILES or "/" in word or "." in word else None


def _file(document: Document, word: str) -> types.Location | None:
    try:
        path = (document.path.parent / word).absolute()
        if not path.is_file():
            return None
    except (OSError, ValueError):
        return None
    start = types.Position(0, 0)
    return types.Location(path.as_uri(), types.Range(start, start))


def _step(tree: Tree, word: str) -> Tree | None:
    """The value at a path of keys and positions, through a stage's `steps` too."""
    at: Tree | None = tree
    for name in word.split("."):
        if at is None:
            return None
        inner = at.get("steps") or at
        if isinstance(inner.value, tuple):
            at = inner.value[int(name)] if name.isdigit() and int(name) < len(inner.value) else None
        elif isinstance(inner.value, dict) and name.isdigit() and name not in inner.value:
            width = inner.get("width")                              # a block: its layers are its widths
            widths = width.value if width is not None and isinstance(width.value, tuple) else ()
            only = next(iter(inner.value.values())) if len(inner.value) == 1 else None
            listed = only.value if only is not None and isinstance(only.value, tuple) else widths
            at = listed[int(name)] if int(name) < len(listed) else inner if "layer" in inner.value else None
        else:
            at = inner.get(name)
    return at
