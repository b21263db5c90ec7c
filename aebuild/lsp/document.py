"""One version of a text in an editor, and what is known of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aebuild.compile.annotations import fields
from aebuild.compile.front import Loaded, load
from aebuild.compile.plugins import blamed
from aebuild.compile.spec import Spec
from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.encoding import MAX_BYTES
from aebuild.lang.render import ordered
from aebuild.lang.source import read
from aebuild.lang.tree import Tree
from aebuild.lsp.positions import Positions
from aebuild.parts import discover

COMMON = {"name", "description", "data", "train", "evaluate", "allow"}       # keys that other YAML has as well
_TOP = re.compile(r"^\{?\s*(\w+)\s*:", re.M)
_BREAK = re.compile("\r\n|\r|\n")


def top_keys() -> dict[str, str]:
    """The keys that a spec may have at the top, with their meaning."""
    known = {key: Spec.model_fields[name].description or "" for key, (name, _) in fields(Spec).items()}
    return {**known, "extends": "another file, relative to this one, whose values this one changes"}


@dataclass(frozen=True, eq=False)
class Document:
    """The text of a spec that an editor holds, saved or not; `encoding` is how the editor counts columns."""

    path: Path
    text: str
    encoding: str = "utf-16"

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return _BREAK.split(self.text)

    @cached_property
    def positions(self) -> Positions:
        """From and to the editor's columns."""
        return Positions(self.lines, self.encoding)

    @cached_property
    def is_spec(self) -> bool:
        """False for YAML that clearly is none of ours."""
        discover()
        found = set(_TOP.findall(self.text[:MAX_BYTES]))
        own = set(top_keys())
        return bool(found & (own - COMMON)) or bool(found) and found <= own

    @property
    def tree(self) -> Tree | None:
        """The values of the text; None where it is no YAML or no mapping."""
        return self.reading[0]

    @cached_property
    def reading(self) -> tuple[Tree | None, list[Diagnostic]]:
        """The tree, and what is wrong with the text."""
        return read(self.text, str(self.path))

    @cached_property
    def loaded(self) -> Loaded:
        """All that `validate` knows; an exception of a plug-in is a finding."""
        return self.as_if(self.text, None if self.reading[1] else self.tree)          # what was read is not read again

    @cached_property
    def findings(self) -> list[Diagnostic]:
        """What is wrong, in order; nothing of a file that is no spec."""
        return ordered(self.loaded.diagnostics) if self.is_spec else []

    def as_if(self, text: str, tree: Tree | None = None) -> Loaded:
        """What `validate` would know of another text in this place, whose tree may be given."""
        try:
            return load(self.path, text=text, tree=tree)
        except Exception as error:
            found = blamed(error)
            if found is None:
                raise
            return Loaded(str(self.path), diagnostics=[found])

    def offset(self, line: int, column: int) -> int:
        """The offset of a place in the text."""
        starts = [0, *(match.end() for match in _BREAK.finditer(self.text))]
        return min(starts[min(line, len(starts)) - 1] + column - 1, len(self.text))

    def place(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset, both from 1."""
        before = _BREAK.split(self.text[:offset])
        return len(before), len(before[-1]) + 1
