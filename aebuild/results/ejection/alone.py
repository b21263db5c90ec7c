"""Source as it is for one process that records nothing: what serves only others is taken out, comments stay."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

Edit = tuple[int, int, str]         # from, to, what stands there instead

# What the functions of modules/collectives.py are where nobody shares the batch.
ALONE: dict[str, Callable[..., str]] = {
    **dict.fromkeys(("total", "whole", "own", "portion", "gathered", "gathered_samples", "of_first"), lambda x, *_: _primary(x)),
    "mean": lambda x: f"{_primary(x)}.mean(0)",
    "variance": lambda x: f"{_primary(x)}.var(0, correction=0)",
    "averaged": lambda sums, rows, *_: f"({_primary(sums)} / {_primary(rows)})",
    "chosen": lambda x, rows, *_: f"{_primary(x)}.gather(1, {_primary(rows)}.unsqueeze(2).expand(-1, -1, {_primary(x)}.shape[2]))",
}
NEVER = frozenset({"recording", "shared"})       # calls that are False then


def alone(source: str, shared_names: frozenset[str]) -> str:
    """The source without the collectives of these names, and without what happens only in recorded programs."""
    while (edit := next(_edits(source, shared_names), None)) is not None:
        start, end, text = edit
        source = source[:start] + text + source[end:]
    return source


def without_methods(source: str, keep: Callable[[str], bool]) -> str:
    """A class without the methods that are not kept."""
    node = ast.parse(source).body[0]
    if not isinstance(node, ast.ClassDef):
        return source
    lines = source.split("\n")
    for item in reversed(node.body):
        if isinstance(item, ast.FunctionDef) and not keep(item.name):
            first = min([item.lineno, *(each.lineno for each in item.decorator_list)]) - 1
            while first > 0 and not lines[first - 1].strip():
                first -= 1
            del lines[first:item.end_lineno]
    text = "\n".join(lines)
    last = ast.parse(source).body[0]
    return text if isinstance(last, ast.ClassDef) and text.rstrip().count("\n") else f"{text.rstrip()}\n    pass"


def short_docstrings(source: str) -> str:
    """Docstrings by their first paragraph."""
    lines = source.split("\n")
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            paragraph = lines[first.lineno - 1:first.end_lineno]
            if "" in paragraph:
                kept = paragraph[:paragraph.index("")]
                lines[first.lineno - 1:first.end_lineno] = [*kept[:-1], f'{kept[-1]}"""']
    return "\n".join(lines)


def _edits(source: str, names: frozenset[str]) -> Iterator[Edit]:
    tree = ast.parse(source)
    place = _places(source)
    text = _text(source, place)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and not node.orelse and _never(node.test):
            start = place(node.lineno, 0)
            yield start, min(place(node.end_lineno or 0, node.end_col_offset or 0) + 1, len(source)), ""
        elif isinstance(node, ast.IfExp) and _never(node.test):
            yield *_span(node, place), text(node.orelse)
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and any(map(_never, node.values)):
            yield *_span(node, place), " or ".join(text(value) for value in node.values if not _never(value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names & ALONE.keys():
            yield *_span(node, place), ALONE[node.func.id](*map(text, node.args))


def _never(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_never, test.values))
    return isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id in NEVER


def _primary(text: str) -> str:
    """An expression as something a dot can follow."""
    node = ast.parse(text, mode="eval").body
    return text if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript) else f"({text})"


def _places(source: str) -> Callable[[int, int], int]:
    """From a line and a column in UTF-8 bytes, as `ast` counts, to a place in the text."""
    lines = source.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return lambda line, column: starts[line - 1] + len(lines[line - 1].encode()[:column].decode())


def _span(node: ast.expr, place: Callable[[int, int], int]) -> tuple[int, int]:
    return place(node.lineno, node.col_offset), place(node.end_lineno or 0, node.end_col_offset or 0)


def _text(source: str, place: Callable[[int, int], int]) -> Callable[[ast.expr], str]:
    return lambda node: source[slice(*_span(node, place))]
