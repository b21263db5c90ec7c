"""How the ejected file is laid out: names, text in quotes, lists on one line or several."""

from __future__ import annotations

import re
from collections.abc import Sequence

WIDTH = 120


def word(name: str) -> str:
    """A name as Python can have it: `greedy.0` as greedy_0."""
    return re.sub(r"\W", "_", name)


def quoted(text: str) -> str:
    """Text as Python has it, in double quotes where it can be."""
    return f'"{text}"' if text.isprintable() and '"' not in text and "\\" not in text else repr(text)


def tupled(names: Sequence[str]) -> str:
    """A tuple of texts on one line."""
    return f"({', '.join(map(quoted, names))}{',' if len(names) == 1 else ''})"


def listed(indent: str, opening: str, items: Sequence[str], closing: str) -> list[str]:
    """Items between an opening and a closing on one line, or on several where they are too long for one."""
    line = f"{indent}{opening}{', '.join(items)}{closing}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{indent}{opening.rstrip()}", *(f"{indent}    {item}," for item in items), f"{indent}{closing}"]


def indented(lines: Sequence[str], by: str) -> list[str]:
    """Lines further to the right."""
    return [f"{by}{line}" if line else line for line in lines]
