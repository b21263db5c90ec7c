"""Builds a tree from YAML events, within bounds and with a place for every word."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events as ev

from aebuild.lang import yaml_limits
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, Span
from aebuild.lang.encoding import Script
from aebuild.lang.printable import quote
from aebuild.lang.scalars import Scalar, resolve
from aebuild.lang.syntax import DISGUISED, GLUED, explain
from aebuild.lang.tree import Tree
from aebuild.lang.yaml_limits import MAX_DEPTH, MAX_NODES

_PROPERTY = re.compile(r"\s*(&[\w-]*|![^\s,\[\]{}]*)")
_BLANKS = re.compile(r"\s*")
_SWALLOWED = re.compile(r"[\r\n][ \t]*-\s")
_ENDS = frozenset({ev.SequenceEndEvent, ev.MappingEndEvent})
_NODES = frozenset({ev.AliasEvent, ev.ScalarEvent, ev.SequenceStartEvent, ev.MappingStartEvent})


class _Enough(Exception):
    """The text has passed a bound: reading on would only cost time."""


@dataclass(eq=False)
class _Open:
    """A list or mapping whose end has not been read yet."""

    event: Any
    begin: Span
    key_span: Span | None
    entries: dict[str, Tree] | list[Tree]
    end: Span
    expects_key: bool
    key: str | None = None              # None while the value at hand belongs to a refused key
    here: Span | None = None            # the span of the key at hand
    merging: bool = False


@dataclass(eq=False)
class Reader:
    """Builds the tree of one document from YAML events, on a stack of its own."""

    script: Script
    found: list[Diagnostic]
    stack: list[_Open] = field(default_factory=list)
    root: Tree | None = None
    nodes: int = 0

    def read(self) -> Tree | None:
        """The first document's tree; what is wrong goes to `found`."""
        if not yaml.__with_libyaml__:
            self.refuse(yaml_limits.NO_LIBYAML, "PyYAML was installed without libyaml", self.script.span(0, 0),
                        Hint("pip install --force-reinstall --only-binary :all: pyyaml"))
            return None
        string = self.without_directives()
        documents = 0
        try:
            # libyaml, not the pure-Python parser: 30 times faster, so that 60,000 nodes stay under a second
            for event in yaml.parse(string, Loader=yaml.CSafeLoader):
                if type(event) is ev.DocumentStartEvent:
                    documents += 1
                    if documents == 2:
                        self.refuse(yaml_limits.DOCUMENTS, "a second document begins here; a file is one spec",
                                    self.span(event), Hint("move it to a file of its own"))
                        break
                else:
                    self.take(event)
        except _Enough:
            return None
        except yaml.MarkedYAMLError as error:
            self.found.append(explain(error, self.script))
            return None
        nothing = self.root is not None and self.root.value is None and not self.root.damaged
        if nothing and self.root is not None and self.root.span.column == self.root.span.end_column:
            return None
        return self.root

    def take(self, event: Any) -> None:
        """Handles one event of the document's content."""
        kind = type(event)
        if kind in _ENDS:
            self.close(event)
        elif kind in _NODES:
            self.nodes += 1
            if self.nodes > MAX_NODES:
                self.refuse(yaml_limits.TOO_MANY, f"more than {MAX_NODES:,} keys and values; reading stopped here", self.span(event))
                raise _Enough
            if kind is ev.AliasEvent:
                self.alias(event)
            elif kind is ev.ScalarEvent:
                self.scalar(event, self.span(event, self.properties(event)))
            else:
                self.open(event, self.span(event, self.properties(event)))

    def refuse(self, rule: Rule, message: str, span: Span, fix: str | None = None, *notes: str) -> None:
        """Notes one problem and goes on."""
        self.found.append(Diagnostic(rule, message, span, fix, notes=notes))

    def span(self, event: Any, begin: int = 0) -> Span:
        """The event's own place, from `begin` on and without trailing blanks."""
        first, last = event.start_mark, event.end_mark
        string, start, end = self.script.string, first.index, last.index
        if begin <= start < end and string[end - 1] not in " \t\r\n":
            return Span(self.script.text, first.line + 1, first.column + 1, last.line + 1, last.column + 1)
        start = max(begin, start)
        while end > start and string[end - 1] in " \t\r\n":
            end -= 1
        return self.script.span(start, max(start, end))

    def properties(self, event: Any) -> int:
        """Refuses the anchor and the tag in front of a value; gives the offset where the value begins."""
        begin: int = event.start_mark.index
        if event.anchor is None and event.tag is None:
            return begin
        while match := _PROPERTY.match(self.script.string, begin):
            span = self.script.span(*match.span(1))
            if match[1][0] == "&":
                self.refuse(yaml_limits.ANCHOR, f"{quote(match[1])} is an anchor, and a spec has none", span,
                            Hint("delete it; share settings with `extends`, or put the text in quotes"))
            else:
                self.refuse(yaml_limits.TAG, f"{quote(match[1])} is a tag, and a spec has none", span,
                            Hint("delete it, or put the text in quotes"))
            begin = match.end()
        return begin + len(_BLANKS.match(self.script.string, begin)[0])      # type: ignore[index]  # matches everywhere

    def alias(self, event: Any) -> None:
        """Refuses an alias; a merge key in front of it has been refused already."""
        span = self.span(event)
        if not (self.stack and self.stack[-1].merging):
            self.refuse(yaml_limits.ALIAS, f"{quote('*' + event.anchor)} is an alias, and a spec has none", span,
                        Hint("write the value out, or put the text in quotes"))
        self.place(Tree(None, span, self.key_span(), damaged=True))

    def scalar(self, event: Any, span: Span) -> None:
        """Reads a key or a value."""
        unquoted = event.style not in ("'", '"', "|", ">")
        if self.stack and self.stack[-1].expects_key:
            self.key(event.value, unquoted, span)
            return
        value: Scalar = event.value
        doubt = None
        if unquoted:
            value, doubt = resolve(event.value)
            if event.value == "" and self.glued():
                return
            if span.line != span.end_line and _SWALLOWED.search(self.script.string, event.start_mark.index, event.end_mark.index):
                doubt = (DISGUISED, "a `-` that is indented deeper than the entry above it is only part of its text",
                         Hint("give all entries of a list the same indentation, or put the text in quotes"))
        if doubt is not None:
            self.refuse(doubt[0], doubt[1], span, doubt[2])
        self.place(Tree(value, span, self.key_span(), damaged=doubt is not None or event.tag is not None))

    def key(self, text: str, unquoted: bool, span: Span) -> None:
        """Takes the key of the next value, or refuses it."""
        top = self.stack[-1]
        top.expects_key, top.here, top.end, top.key = False, span, span, text
        first = top.entries.get(text) if isinstance(top.entries, dict) else None
        if unquoted and text == "<<":
            self.refuse(yaml_limits.MERGE, "`<<` is a merge key, and a spec has none", span, Hint("extends: the-other-file.yaml"))
            top.key, top.merging = None, True
        elif unquoted and not (isinstance(resolve(text)[0], str)):
            what = f"the key {quote(text)} is not a name" if text else "a key is missing here"
            self.refuse(yaml_limits.NO_NAME, what, span, f'"{text}"' if text else None)
        elif first is not None and first.key is not None:
            self.refuse(yaml_limits.DUPLICATE, f"the key {quote(text)} is written twice", span, Hint("keep one of them"),
                        f"first written in line {first.key.line}, column {first.key.column}")
        if first is not None:
            top.key = None

    def glued(self) -> bool:
        """Refuses `{width:64}`, a key that has swallowed its value, and takes it apart."""
        top = self.stack[-1] if self.stack else None
        match = GLUED.fullmatch(top.key) if top is not None and top.key and top.event.flow_style else None
        if top is None or match is None or top.here is None:
            return False
        self.refuse(DISGUISED, "a space is missing after the colon", top.here, f"{match[1]}: {match[2][:80]}")
        top.key = match[1] if isinstance(top.entries, dict) and match[1] not in top.entries else None
        self.place(Tree(resolve(match[2])[0], top.here, top.here, damaged=True))
        return True

    def open(self, event: Any, span: Span) -> None:
        """Begins a list or a mapping."""
        if len(self.stack) == MAX_DEPTH:
            self.refuse(yaml_limits.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels; reading stopped here", span)
            raise _Enough
        mapping = type(event) is ev.MappingStartEvent
        self.stack.append(_Open(event, span, self.key_span(), {} if mapping else [], span, mapping))

    def close(self, event: Any) -> None:
        """Ends the innermost list or mapping; a block one ends with its last value."""
        top = self.stack.pop()
        end = self.span(event) if top.event.flow_style else top.end
        begin = top.begin
        span = Span(begin.text, begin.line, begin.column, end.end_line, end.end_column)
        entries = top.entries if isinstance(top.entries, dict) else tuple(top.entries)
        self.place(Tree(entries, span, top.key_span, damaged=top.event.tag is not None))

    def key_span(self) -> Span | None:
        """Where the key of the value at hand stands."""
        return self.stack[-1].here if self.stack else None

    def place(self, tree: Tree) -> None:
        """Puts a finished value into what is open, unless its key was refused."""
        if not self.stack:
            self.root = tree
            return
        top = self.stack[-1]
        top.end = tree.span
        if isinstance(top.entries, list):
            top.entries.append(tree)
        elif top.expects_key:
            if not tree.is_scalar:
                self.refuse(yaml_limits.COMPLEX_KEY, "a list or mapping cannot be a key", tree.span)
            top.expects_key, top.key, top.here = False, None, tree.span
        else:
            if top.key is not None:
                top.entries[top.key] = tree
            top.expects_key, top.key, top.here, top.merging = True, None, None, False

    def without_directives(self) -> str:
        """The text with leading `%` lines refused and made comments, so that the rest is still read."""
        pieces, done = [], 0
        for start, line in zip(self.script.starts, self.script.text.lines, strict=True):
            if line.startswith("%"):
                self.refuse(yaml_limits.DIRECTIVE, "a line that begins with % is a directive, and a spec has none",
                            self.script.span(start, start + len(line)), Hint("delete the line"))
                pieces += [self.script.string[done:start], "#"]
                done = start + 1
            elif line.strip() and not line.lstrip().startswith("#"):
                break
        return "".join([*pieces, self.script.string[done:]])
