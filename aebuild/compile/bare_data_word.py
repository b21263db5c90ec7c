"""A bare word for the data, where a file or folder of that name stands beside the spec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.source import Tree

BESIDE = Rule("AE228", "a data set's name that is also a file beside the spec", """\\
A bare word under `data` names one of the data sets that aebuild knows; a path has a `/` or a dot in it. Where a file or folder beside the
spec has the name of such a data set, either could be meant. `./photos` is the folder; to keep the data set, write its name as
`type`.

```yaml
data: photos                  # and a folder photos/ stands beside this file
```
```yaml
data: {type: photos}
```
""", "warning")


def check_word(tree: Tree, base: Path, found: list[Diagnostic]) -> list[Diagnostic]:
    """What was found, and what is wrong with a bare word under `data`."""
    data = tree.get("data")
    chosen = data.get("type") if data is not None else None
    if data is None or chosen is None or chosen.span != data.span or not isinstance(chosen.value, str):
        return found
    word, kind = chosen.value, _kind(base, chosen.value)
    if kind is None:
        return found
    if word not in Dataset.variants:
        return [replace(other, message=f"{other.message}; the {kind} beside the spec is ./{word}", fix=f"./{word}")
                if other.span == data.span and other.is_error else other for other in found]
    message = f"{word} is the data set of that name, and there is a {kind} {word} beside the spec too"
    hint = Hint(f"./{word} for the {kind}, {{type: {word}}} for the data set")
    return [*found, Diagnostic(BESIDE, message, data.span, hint, "data")]


def _kind(base: Path, word: str) -> str | None:
    """What stands under that name, if anything does."""
    try:
        place = base / word
        return ("folder" if place.is_dir() else "file") if place.exists() else None
    except (OSError, ValueError):
        return None
