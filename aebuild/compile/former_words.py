"""Words of earlier versions: read as what they are called now, and told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.tree import Tree

FORMER = Rule("AE526", "a word of an earlier version", """\
A word of the language was given another name. Specs and runs with the old one are read as before, until a version says otherwise; the new
one is there to paste, and `aebuild migrate` writes it into a file or a run, whose comments and layout stay.

```yaml
latent: {type: adversarial, dim: 2, prior: mixture}
```
```yaml
latent: {type: adversarial, dim: 2, prior: petals}
```
""", severity="warning")


@dataclass(frozen=True)
class FormerWord:
    """A variant's former name `old` at the path `at`, in parts whose key `type` is `within`, the part around it."""

    at: tuple[str, ...]
    old: str
    new: str
    within: str


# The one list of what was renamed. Add to it, never take from it: that is how old specs stay readable.
FORMER_WORDS = (
    FormerWord(("latent", "prior"), "mixture", "petals", within="adversarial"),          # `mixture` became the learned mixture of Gaussians
)


def modernised(tree: Tree) -> tuple[Tree, list[Diagnostic]]:
    """A long tree with the words of today in place of former ones, and a finding for each."""
    found: list[Diagnostic] = []
    for word in FORMER_WORDS:
        around = _at(tree, word.at[:-1])
        place = None if around is None else around.get(word.at[-1])
        variant = None if place is None else place.get("type")
        kind = None if around is None else around.get("type")
        if variant is None or kind is None or variant.value != word.old or kind.value != word.within:
            continue
        message = f"{word.old} is called {word.new} now, as {word.at[-1]} of {word.within}"
        found.append(Diagnostic(FORMER, message, variant.span, word.new, ".".join(word.at)))
        tree = _with(tree, (*word.at, "type"), replace(variant, value=word.new))
    return tree, found


def migrated(text: str, found: Sequence[Diagnostic]) -> str:
    """The text with the fix of each finding over what it underlines; all else stays as it is."""
    lines = re.split(r"(\r\n|\r|\n)", text)          # every second one is what ends the line before
    spans = [(each.span, each.fix) for each in found if each.span is not None and each.fix is not None]
    for span, fix in sorted(spans, key=lambda each: (each[0].line, each[0].column), reverse=True):
        line = lines[2 * span.line - 2]
        lines[2 * span.line - 2] = line[:span.column - 1] + fix + line[span.end_column - 1:]
    return "".join(lines)


def _at(tree: Tree | None, keys: Sequence[str]) -> Tree | None:
    for key in keys:
        tree = None if tree is None else tree.get(key)
    return tree


def _with(tree: Tree, keys: Sequence[str], value: Tree) -> Tree:
    if not keys:
        return value
    assert isinstance(tree.value, dict), "the path was followed before"
    return replace(tree, value={**tree.value, keys[0]: _with(tree.value[keys[0]], keys[1:], value)})
