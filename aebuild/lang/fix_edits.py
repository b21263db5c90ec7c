"""A finding's fix as a change of the text, comments and layout kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aebuild.lang.diagnostics import Diagnostic, Hint, Span
from aebuild.lang.encoding import Script, lettered
from aebuild.lang.source import read, read_value
from aebuild.lang.tree import Tree

REMOVE = "remove "
_FINE = " \t\r\n,"


@dataclass(frozen=True)
class Edit:
    """Characters `start` to `end` of a text become `new`; offsets count from 0, the end is exclusive."""

    start: int
    end: int
    new: str

    def applied(self, text: str) -> str:
        """The changed text."""
        return text[:self.start] + self.new + text[self.end:]


def mending(text: str, found: Diagnostic, gone: Callable[[str], bool]) -> Edit | None:
    """The first way to paste a finding's fix after which `gone(text)` holds; None where nothing can be pasted.

    `text` is what the finding's span lies in. `gone` is asked of each changed text, usually by `is_gone` of what it loads to.
    """
    if found.span is None or not found.fix or isinstance(found.fix, Hint):
        return None
    for edit in pastes(text, found.span, found.fix):
        if gone(edit.applied(text)):
            return edit
    return None


def is_gone(found: Diagnostic, before: Sequence[Diagnostic], after: Sequence[Diagnostic]) -> bool:
    """True if it is found less often, and no error has come that an earlier pass did not keep from being found."""
    if _count(after, found) >= _count(before, found):
        return False
    known = {error.code for error in before}
    return all(error.code in known or any(_hides(error.code, other) for other in known) for error in after if error.is_error)


def _hides(later: str, earlier: str) -> bool:
    """True if the later error cannot be seen while there is the earlier one; keys of a part only once it is known which part."""
    passes = ["AE0", "AE1", "AE4", "AE3"]
    first, second = (passes.index(code[:3]) if code[:3] in passes else len(passes) for code in (earlier, later))
    return first < second or earlier[:3] == later[:3] == "AE4" or earlier in ("AE103", "AE104") and later in ("AE101", "AE102")


def _count(findings: Sequence[Diagnostic], wanted: Diagnostic) -> int:
    return sum((other.code, other.message) == (wanted.code, wanted.message) for other in findings)


def pastes(text: str, span: Span, fix: str) -> Iterator[Edit]:
    """Each way to paste a fix, the likeliest first.

    Literally in place of what is underlined; in place of the entry, or of the key's value, or as a new key, in the mapping
    around it and in those further out. `remove KEY` takes out the nearest key of that name.
    """
    script, _ = lettered(text, span.text.name)
    if script is None or script.string != text:
        return
    pen = _Pen(text, script)
    yield Edit(*pen.range(span), fix)
    tree, _ = read(text, span.text.name)
    if tree is None:
        return
    places = _around(tree, span)
    if fix.startswith(REMOVE):
        for number in range(len(places)):
            yield from pen.removals(places[number:], fix.removeprefix(REMOVE))
        return
    value, _ = read_value(fix, "fix")
    if value is not None:
        for number in range(len(places)):
            yield from pen.puts(places[number:], number == 0, value, fix)


@dataclass(frozen=True)
class _Place:
    """A value that the span lies in, or whose key it is; `step` leads to it from the next place of the list."""

    tree: Tree
    step: str | int | None


def _around(tree: Tree, span: Span) -> list[_Place]:
    """The places around a span, innermost first; the root is the last."""
    found: list[_Place] = []
    step: str | int | None = None
    inner: Tree | None = tree
    while inner is not None:
        found.insert(0, _Place(inner, step))
        below = inner.value.items() if isinstance(inner.value, dict) else enumerate(inner.value) if isinstance(inner.value, tuple) else ()
        inner = None
        for name, child in below:
            if _holds(child.span, span) or child.key is not None and _holds(child.key, span):
                inner, step = child, name
    return found


def _holds(outer: Span, inner: Span) -> bool:
    begin, end = (outer.line, outer.column), (outer.end_line, outer.end_column)
    return begin <= (inner.line, inner.column) and (inner.end_line, inner.end_column) <= end


@dataclass(frozen=True)
class _Pen:
    """Changes of one text by what its tree says of it."""

    text: str
    script: Script

    def range(self, span: Span) -> tuple[int, int]:
        """The offsets of a span."""
        starts = self.script.starts
        return starts[span.line - 1] + span.column - 1, starts[span.end_line - 1] + span.end_column - 1

    def entry(self, child: Tree) -> tuple[int, int]:
        """The offsets of an entry of a mapping, its key included, or of a list's item."""
        start, end = self.range(child.span)
        if child.key is None:
            return start, end
        begin, behind = self.range(child.key)
        if end <= behind:                                      # no value: up to the colon
            end = behind + 1 if self.text[behind:behind + 1] == ":" else behind
        return begin, end

    def flow(self, tree: Tree) -> bool:
        """True for a list or mapping in brackets."""
        return self.text[self.range(tree.span)[0]] in "{["

    def puts(self, places: list[_Place], innermost: bool, value: Tree, fix: str) -> Iterator[Edit]:
        """The ways to paste a value at the first of these places."""
        place, holder = places[0], places[1].tree if len(places) > 1 else None
        entries = value.value if isinstance(value.value, dict) and len(value.value) == 1 else None
        key = next(iter(entries)) if entries else ""
        if entries and holder is not None and isinstance(holder.value, dict):
            if key == place.step or key not in holder.value:
                yield Edit(*self.entry(place.tree), fix)
            else:
                yield from self._moved(place.tree, places[1:], key, entries[key], fix)
        if entries and isinstance(place.tree.value, dict):
            yield from self._entered(places, key, entries[key], fix)
            inner = next(iter(place.tree.value.values()), None)
            if innermost and len(place.tree.value) == 1 and inner is not None and isinstance(inner.value, dict):
                yield from self._entered([_Place(inner, None), *places], key, entries[key], fix)
        if innermost and holder is not None:
            yield Edit(*self.range(place.tree.span), f"{{{fix}}}" if value.is_mapping and not fix.startswith("{") else fix)
            if isinstance(value.value, str) and place.tree.key is not None:
                yield Edit(*self.range(place.tree.key), fix)
        if holder is not None and isinstance(holder.value, tuple):
            yield Edit(*self.range(place.tree.span), fix)

    def _moved(self, child: Tree, places: list[_Place], key: str, new: Tree, fix: str) -> Iterator[Edit]:
        """One entry of a mapping taken out, and the value put into another one of it."""
        out = self.removal(child, places[0].tree)
        for put in self._entered(places, key, new, fix):
            first, second = sorted((out, put), key=lambda edit: edit.start)
            if first.end <= second.start:
                yield Edit(first.start, second.end, first.new + self.text[first.end:second.start] + second.new)

    def _entered(self, places: list[_Place], key: str, new: Tree, fix: str) -> Iterator[Edit]:
        """A mapping with this entry: merged into one that it has, in place of it, or as a new one."""
        tree, holder = places[0].tree, places[1].tree if len(places) > 1 else None
        assert isinstance(tree.value, dict)
        old = tree.value.get(key)
        if old is None:
            yield self.insertion(tree, holder, fix)
            return
        if isinstance(old.value, dict) and isinstance(new.value, dict) and len(new.value) == 1:
            below, = new.value.items()
            yield from self._entered([_Place(old, key), *places], below[0], below[1], self._written(below[1], fix))
        yield Edit(*self.entry(old), fix)

    def _written(self, tree: Tree, fix: str) -> str:
        """An entry of a fix as it stands in it, its key included."""
        script, _ = lettered(fix, "fix")
        assert script is not None
        start, end = _Pen(fix, script).entry(tree)
        return fix[start:end]

    def insertion(self, tree: Tree, holder: Tree | None, fix: str) -> Edit:
        """A new entry at the end of a mapping."""
        assert isinstance(tree.value, dict)
        start, end = self.range(tree.span)
        if self.text[start] == "{":
            kept = self.text[start + 1:end - 1].rstrip(_FINE)
            return Edit(start + 1 + len(kept), end - 1, f"{', ' if kept.strip() else ''}{fix}")
        if holder is not None and isinstance(holder.value, tuple) and self.flow(holder):
            return Edit(start, end, f"{{{self.text[start:end]}, {fix}}}")          # `[conv: 8]`: a mapping without its braces
        last = list(tree.value.values())[-1]
        _, stop = self.entry(last)
        stop += len(self.text[stop:].partition("\n")[0].rstrip("\r"))
        return Edit(stop, stop, f"\n{' ' * (tree.span.column - 1)}{fix}")

    def removals(self, places: list[_Place], key: str) -> Iterator[Edit]:
        """The ways to take a key out of the first of these places, or the place itself if it is that key."""
        tree, holder = places[0].tree, places[1].tree if len(places) > 1 else None
        if isinstance(tree.value, dict) and key in tree.value:
            yield self.removal(tree.value[key], tree)
        if holder is not None and (places[0].step == key or isinstance(holder.value, tuple) and (
                tree.value == key or isinstance(tree.value, dict) and key in tree.value)):
            yield self.removal(tree, holder)

    def removal(self, child: Tree, holder: Tree) -> Edit:
        """A mapping or list without one of its entries."""
        start, end = self.entry(child)
        siblings: list[Tree] = list(holder.value.values() if isinstance(holder.value, dict) else holder.value)  # type: ignore[arg-type]
        if len(siblings) == 1:
            begin, behind = self.range(holder.span)
            return Edit(begin, behind, "{}" if isinstance(holder.value, dict) else "[]")
        after = next((self.entry(other)[0] for other in siblings if self.entry(other)[0] > start), None)
        if self.flow(holder):
            if after is not None:
                return Edit(start, after, "")
            before = max(self.entry(other)[1] for other in siblings if other is not child)
            return Edit(before, end, "")
        line = self.text.rfind("\n", 0, start) + 1
        if after is not None and holder.is_mapping and self.text[line:start].strip():
            return Edit(start, after, "")                      # behind the dash of a list
        rest = end + len(self.text[end:].partition("\n")[0])
        return Edit(max(0, line - 1), rest, "") if line else Edit(0, rest + 1, "")
