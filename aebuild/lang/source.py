"""From YAML text to a tree that knows where everything was written."""

from __future__ import annotations

from aebuild.lang import yaml_limits
from aebuild.lang.diagnostics import Diagnostic, Hint, Span
from aebuild.lang.encoding import MAX_BYTES, lettered
from aebuild.lang.reader import Reader
from aebuild.lang.scalars import resolve
from aebuild.lang.syntax import GLUED
from aebuild.lang.tree import Plain, Tree
from aebuild.lang.yaml_limits import MAX_DEPTH, MAX_NODES

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Plain", "Tree", "parse_scalar", "read", "read_value"]


def read(text: bytes | str, name: str) -> tuple[Tree | None, list[Diagnostic]]:
    """The tree of a whole spec, and everything that is wrong with its text.

    No tree where nothing can be made of the text: too large, too deep, not YAML, empty, not a mapping. Never raises, whatever
    the bytes. Of a file read at most `MAX_BYTES + 1` bytes, so that a huge one costs nothing.
    """
    script, found = lettered(text, name)
    if script is None:
        return None, found
    tree = Reader(script, found).read()
    if tree is None and not found:
        found.append(Diagnostic(yaml_limits.EMPTY, "the file is empty", script.span(0, 0)))
    if tree is None or tree.is_mapping:
        return tree, found
    if not tree.damaged:
        glued = isinstance(tree.value, str) and GLUED.match(tree.value)
        what = "a list" if tree.is_list else "text" if isinstance(tree.value, str) else "a single value"
        fix = f"{glued[1]}: {glued[2][:80]}" if glued else None
        found.append(Diagnostic(yaml_limits.NO_MAPPING, f"a spec is a mapping of keys to values, this is {what}", tree.span, fix))
    return None, found


def read_value(text: str, name: str) -> tuple[Tree | None, list[Diagnostic]]:
    """The tree of one value, as `--set path=value` has it: a scalar, or YAML such as `[64, 128]`.

    Same rules as a file. An empty value is refused, `null` deletes.
    """
    script, found = lettered(text, name)
    if script is None:
        return None, found
    tree = Reader(script, found).read()
    if tree is None and not found:
        commented = ("a value that begins with # wants quotes",) if "#" in text else ()
        found.append(Diagnostic(yaml_limits.EMPTY, "the value is empty", script.span(0, len(script.string)),
                                Hint("write null to delete the key, or '' for empty text"), notes=commented))
    return tree, found


def parse_scalar(text: str, span: Span) -> tuple[Tree, list[Diagnostic]]:
    """The tree of an unquoted scalar; one that is no proper number comes back damaged."""
    value, doubt = resolve(text)
    if doubt is None:
        return Tree(value, span), []
    rule, message, fix = doubt
    return Tree(value, span, damaged=True), [Diagnostic(rule, message, span, fix)]
