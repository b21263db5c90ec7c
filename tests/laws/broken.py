"""Ways to break one field of a valid spec, each knowing where it did it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from aebuild.compile.annotations import fields
from aebuild.compile.spec import Spec
from aebuild.lang.diagnostics import Diagnostic, Span
from aebuild.lang.part import Part
from aebuild.lang.source import read
from aebuild.lang.tree import Tree

NONSENSE = "wrongkind"
CANDIDATES: tuple[Any, ...] = (NONSENSE, -98765, 98765.25, 0)
FREE = {("Spec", "name"), ("Spec", "description"), ("Arrays", "path"), ("Arrays", "label")}       # any text will do
NAMES = ("heads", "players", "losses", "allow")           # mappings whose keys the user chooses
DEFINING = ("steps", "from", "to")                        # without these a mapping is no stage and no range, so it is blamed as a whole


@dataclass(frozen=True)
class Broken:
    """A text with one mistake, and the stretch of it that is wrong."""

    text: str
    begin: int
    end: int
    what: str

    def blamed_by(self, found: Diagnostic) -> bool:
        """True if the finding's span lies in the wrong stretch, or begins in it."""
        if found.span is None or not found.is_error:
            return False
        return self.begin <= offset(self.text, found.span.line, found.span.column) < max(self.end, self.begin + 1)


def offset(text: str, line: int, column: int) -> int:
    """Characters before a place that counts from 1."""
    begun = 0
    for _ in range(line - 1):
        begun = text.index("\n", begun) + 1
    return begun + column - 1


def replaced(text: str, span: Span, new: str, what: str) -> Broken:
    begin, end = offset(text, span.line, span.column), offset(text, span.end_line, span.end_column)
    return Broken(text[:begin] + new + text[end:], begin, begin + len(new), what)


def bad_values(text: str, spec: Spec) -> list[Broken]:
    """Every written field with every candidate that its part refuses."""
    found: dict[tuple[int, str], Broken] = {}
    for part in parts_of(spec):
        for key, (name, _) in fields(type(part)).items():
            span = part._origin.fields.get(name)
            if span is None or span.line != span.end_line or (type(part).__name__, name) in FREE or span.text.name != "generated.yaml":
                continue
            for candidate in CANDIDATES[:1] if isinstance(getattr(part, name), Part) else CANDIDATES:
                if refuses(part, key, candidate):
                    broken = replaced(text, span, str(candidate), f"{type(part).__name__}.{key} = {candidate}")
                    found[broken.begin, str(candidate)] = broken
    return list(found.values())


def refuses(part: Part, key: str, value: Any) -> bool:
    """True if the part cannot have this value."""
    values = {alias: getattr(part, name) for alias, (name, _) in fields(type(part)).items()}
    try:
        type(part).model_validate({**values, key: value})
    except ValidationError:
        return True
    return False


def parts_of(value: Any) -> Iterator[Part]:
    """A part and all parts in it."""
    if isinstance(value, Part):
        yield value
        for name in type(value).model_fields:
            yield from parts_of(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from parts_of(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from parts_of(item)


def bad_words(text: str) -> list[Broken]:
    """Every key, and every name of a variant, misspelt beyond recognition."""
    tree, _ = read(text, "generated.yaml")
    assert tree is not None
    return list(_misspelt(text, tree, ()))


def _misspelt(text: str, tree: Tree, path: tuple[str, ...]) -> Iterator[Broken]:
    if isinstance(tree.value, tuple):
        for child in tree.value:
            yield from _misspelt(text, child, (*path, "*"))
    if not isinstance(tree.value, dict):
        return
    named = bool(path) and path[-1] in NAMES
    for key, child in tree.value.items():
        if child.key is not None and not named and key not in ("type", "layer"):
            broken = replaced(text, child.key, f"{key}zqx", f"key {'.'.join((*path, key))}")
            whole = offset(text, tree.span.line, tree.span.column)
            yield replace(broken, begin=whole) if key in DEFINING else broken
        if key in ("type", "layer"):
            yield replaced(text, child.span, f"{child.value}zqx", f"{key} {child.value}")
        yield from _misspelt(text, child, (*path, key))
