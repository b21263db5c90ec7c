"""From plain data to YAML that people like to read."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import Any

from rich.cells import cell_len

from aebuild.lang.printable import shown
from aebuild.lang.scalars import resolve
from aebuild.lang.source import read_value

_WIDTH = 100
_KEY = 900                            # YAML allows 1,024 characters in front of a colon
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def emit(plain: dict[str, Any]) -> str:
    """Plain data as YAML text: `read(emit(x)).plain() == x`, and equal data give equal text.

    Mappings and lists stand on one line where they are short and hold no mapping in a list; text is quoted only where it
    would be read as something else. ValueError for what a spec cannot hold: infinity, NaN, whole numbers beyond 64 bits, lone
    surrogates, and anything but dicts with text keys, lists, text, numbers, truth values and None.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"a spec is a mapping, not {type(plain).__name__}")
    return "\n".join(_block(plain, "")) + "\n" if plain else "{}\n"


def _block(value: Any, pad: str) -> list[str]:
    """The lines of a mapping or list that is not empty, each indented by `pad`."""
    if isinstance(value, dict):
        return [line for key, child in value.items() for line in _entry(_head(key, pad), child, pad)]
    lines = []
    for child in value:
        step = isinstance(child, dict) and len(child) == 1           # `- conv: {width: 64}` needs no outer braces
        if not step and _fits(child, f"{pad}- {_flow(child)}"):
            lines.append(f"{pad}- {_line(child, pad)}")
        else:
            inner = _block(child, pad + "  ")
            lines += [f"{pad}- {inner[0][len(pad) + 2:]}", *inner[1:]]
    return lines


def _entry(head: str, child: Any, pad: str) -> list[str]:
    if _fits(child, f"{head} {_flow(child)}"):
        return [f"{head} {_line(child, pad)}"]
    return [head, *_block(child, pad + "  ")]


def _head(key: Any, pad: str) -> str:
    word = _key(key, "key")
    return f"{pad}{word}:" if len(word) <= _KEY else f"{pad}? {word}\n{pad}:"


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key is text, not {key!r}")
    return _text(key, place)


def _fits(value: Any, line: str) -> bool:
    """Whether a value stands on its line: always a scalar, else if it is short and simple."""
    if not isinstance(value, dict | list) or not value:
        return True
    return cell_len(line) <= _WIDTH and _simple(value, 3)


def _simple(value: Any, depth: int) -> bool:
    if isinstance(value, list):
        return depth > 0 and not any(isinstance(child, dict | list) for child in value)
    if isinstance(value, dict):
        return depth > 0 and all(_simple(child, depth - 1) for child in value.values())
    return True


def _flow(value: Any) -> str:
    """The value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key, 'flow key')}: {_flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A scalar, or an empty mapping or list, inside a line."""
    if isinstance(value, str):
        return _text(value, "value")
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int) and -2**63 <= value < 2**63:
        return str(int(value))
    if isinstance(value, float) and isfinite(value):
        return repr(float(value))
    raise ValueError(f"a spec cannot hold {value!r:.80}")


@lru_cache(maxsize=4096)
def _text(text: str, place: str) -> str:
    """The text as it stands, where `read` gives the same text back, else in double quotes."""
    if _WORD.fullmatch(text) and resolve(text) == (text, None):
        return text
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"a spec cannot hold half a surrogate pair: {text!r:.80}")
    if text and "\n" not in text:
        trials = {
            "key": (f"{text}: 1\nz: 1\n", {text: 1, "z": 1}),
            "flow key": (f"{{{text}: 1, z: 1}}", {text: 1, "z": 1}),
            "value": (f"[{text}, {{k: {text}, z: {text}}}]", [text, {"k": text, "z": text}]),
            "line": (f"- {text}\n- k: {text}\n  z: 1\n", [text, {"k": text, "z": 1}]),
        }
        if _reads(*trials[place]) and text != "z":
            return text
    return '"' + "".join(_ESCAPES.get(char) or shown(char) for char in text) + '"'


def _reads(source: str, wanted: Any) -> bool:
    tree, found = read_value(source, "")
    return tree is not None and not found and tree.plain() == wanted


def _line(value: Any, pad: str) -> str:
    """A scalar at the end of its line, text of several lines as a literal block below it if it can."""
    if not isinstance(value, str):
        return _flow(value)
    if "\n" in value:
        body = value.removesuffix("\n").split("\n")
        chomp = "|" if value.endswith("\n") else "|-"
        block = "\n".join([chomp, *(f"{pad}  {line}" if line else "" for line in body)])
        if all(shown(char) == char for line in body for char in line) and _reads(f"k:\n{pad} z: {block}\n", {"k": {"z": value}}):
            return block
    return _text(value, "line")
