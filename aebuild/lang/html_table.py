"""Small tables for notebooks: plain HTML, everything in it escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from aebuild.lang.printable import clean

MOST = 60          # rows that are shown


def html_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a title; numbers with separators to the right, of many rows the first ones."""
    every = [list(row) for row in rows]
    shown = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in every[:MOST])
    left = f"<tr><td colspan={len(head)}>… {len(every) - MOST:,} more</td></tr>" if len(every) > MOST else ""
    names = "".join(f"<th>{text(name)}</th>" for name in head)
    return (f'<table class="aebuild"><caption style="text-align: left">{text(title)}</caption>'
            f"<thead><tr>{names}</tr></thead><tbody>{shown}{left}</tbody></table>")


def html_lines(lines: Iterable[str]) -> str:
    """Sentences, one a line."""
    return "".join(f"<div>{text(line)}</div>" for line in lines)


def text(value: object) -> str:
    """A value as text that is neither markup nor steers a terminal."""
    return escape(clean(str(value)))


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{text(value)}</td>"
    number = f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
    return f'<td style="text-align: right">{text(number)}</td>'
