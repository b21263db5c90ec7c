"""A spec as YAML with a reason above each key that has one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from aebuild.lang.emit import emit
from aebuild.lang.printable import clean

WIDTH = 110


def commented(spec: dict[str, Any], reasons: dict[str, str], head: Iterable[str]) -> str:
    """The text: the lines of `head` as comments, then the keys, each below its reason; what is nested and has reasons is spread out."""
    lines = [line for sentence in head for line in _comment(sentence, "")]
    for key, value in spec.items():
        lines += ["", *_entry(key, value, reasons, key, "")]
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, reasons: dict[str, str], path: str, pad: str) -> Iterator[str]:
    if path in reasons:
        yield from _comment(reasons[path][:1].upper() + reasons[path][1:], pad)
    if isinstance(value, dict) and any(place.startswith(f"{path}.") for place in reasons):
        yield f"{pad}{key}:"
        for inner, child in value.items():
            yield from _entry(inner, child, reasons, f"{path}.{inner}", f"{pad}  ")
    else:
        yield from (f"{pad}{line}" for line in emit({key: value}).rstrip("\n").split("\n"))


def _comment(text: str, pad: str) -> Iterator[str]:
    """A sentence as lines that begin with #; nothing in it can end the comment."""
    for line in textwrap.wrap(clean(text), WIDTH - len(pad) - 2, break_on_hyphens=False):
        yield f"{pad}# {line}"
