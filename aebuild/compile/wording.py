"""Values, parts and lists in the words of a message."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from aebuild.compile.annotations import Shape
from aebuild.lang.diagnostics import Diagnostic, Hint, Span
from aebuild.lang.part import Part
from aebuild.lang.source import Tree, parse_scalar


def what(tree: Tree) -> str:
    """The value in words, for a message."""
    value = tree.value
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str) else f"{value}"


def written(tree: Tree) -> str:
    """The value as it was written, if that is short."""
    return quoted_from(tree.span)


def quoted_from(span: Span) -> str:
    """What stands there, if that is short."""
    text = span.text.lines[span.line - 1][span.column - 1:span.end_column - 1] if span.line == span.end_line else ""
    return text if 0 < len(text) <= 80 else "..."


def with_data(found: Diagnostic, data: Tree | None) -> Diagnostic:
    """A finding whose fix is an option of the data: with the path or name that is all that is written of them."""
    if data is None or not isinstance(data.value, dict) or found.span != data.span or found.fix is None or isinstance(found.fix, Hint):
        return found
    if not data.value or any(child.span != data.span for child in data.value.values()) or not re.match(r"\w+: ", found.fix):
        return found
    owner = "path" if "path" in data.value else "type"
    others = "" if found.fix.startswith(f"{owner}: ") else f"{owner}: {written(data)}, "
    return replace(found, fix=f"data: {{{others}{found.fix}}}")


def owner_of(cls: type[Part]) -> str:
    """The part's name in a message."""
    return cls.variant_name() or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__).lower()


def family_name(shape: Shape) -> str:
    """The family's name in a message."""
    assert shape.part is not None
    return (shape.key or shape.part.family).replace("_", " ")


def is_whole(tree: Tree) -> bool:
    """True for a whole number."""
    return isinstance(tree.value, int) and not isinstance(tree.value, bool)


_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def mended(key: str, wanted: str, place: Tree) -> str | None:
    """The same value in the wanted kind, where that is clear."""
    value = place.value
    if value is None and place.key is not None and " " in key:
        return Hint("put the text before it in quotes, if the comma belongs to it")
    if isinstance(value, str) and (glued := re.fullmatch(r"(\w+):(\S+)", value)):
        return f"{glued[1]}: {glued[2]}"
    if wanted == "true or false" and isinstance(value, str) and value.casefold() in _TRUTHS:
        return f"{key}: {_TRUTHS[value.casefold()]}"
    number = parse_scalar(value, place.span)[0].value if isinstance(value, str) else value
    if wanted == "a whole number" and isinstance(number, float) and number.is_integer():
        number = int(number)
    if wanted in ("a whole number", "a number") and isinstance(number, int | float) and not isinstance(number, bool):
        return f"{key}: {number}" if wanted == "a number" or isinstance(number, int) else f"{key}: {round(number)}"
    if wanted == "a list" and isinstance(value, int | float | str) and not isinstance(value, bool):
        return f"{key}: [{value}]"
    return None


def number_text(number: float) -> str:
    """The number as short as it can be."""
    return f"{number:g}"


def listed(names: Any) -> str:
    """The names, or the first of many."""
    words = list(names)
    return ", ".join(words[:24]) + (f" and {len(words) - 24} more" if len(words) > 24 else "")
