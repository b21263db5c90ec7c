"""User text made safe to print: nothing hidden, nothing that steers a terminal."""

from __future__ import annotations

from unicodedata import category

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_SEEN = frozenset(" \u3000")         # blanks that are blank on the screen too


def clean(text: str) -> str:
    r"""The text with every invisible character written as its escape.

    Control and ANSI characters, bidi and zero-width characters, line and paragraph separators, odd blanks such as the
    no-break space, lone surrogates, private and unassigned characters become `\n`, `\x1b`, `\u202e`, ... . The result is
    one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(shown, text))


def shown(char: str) -> str:
    """One character as it may be printed: itself, or its escape."""
    if " " <= char <= "~" or char in _SEEN or category(char) not in _HIDDEN:
        return char
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char)
    if named is not None:
        return named
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote(text: str, limit: int = 60) -> str:
    """The text in quotes for a message, cut to `limit` characters.

    The text itself stays as it is: `clean` is the business of whoever prints the message.
    """
    return f"'{text}'" if len(text) <= limit else f"'{text[:limit - 1]}…'"
