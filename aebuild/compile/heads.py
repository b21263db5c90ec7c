"""What heads predict: the label, or columns."""

from __future__ import annotations

from itertools import accumulate

from aebuild.compile.spec import Head
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.samples import DataInfo

UNLABELLED = Rule("AE308", "a head without labels", """\
A head predicts a label of each sample, so the data need labels.

```yaml
data: {type: photos}
heads: {kind: {from: latent, predicts: label}}
```
```yaml
data: digits
heads: {digit: {from: latent, predicts: label}}
```
""")


def unpredictable(name: str, head: Head, info: DataInfo) -> Diagnostic | None:
    """Why a head cannot learn, if so."""
    if head.columns:
        mine = [each for each in info.predicted if each.name in head.columns]
        alike = next((each.name for each in mine if each.kind == "category" and len(each.words) < 2), None)
        message = f"{name!r} predicts {alike}, but all of its words are the same"
        return None if alike is None else Diagnostic(UNLABELLED, message, head.place("predicts"), f"remove {name}", f"heads.{name}")
    if info.classes is None:
        return Diagnostic(UNLABELLED, f"{name!r} predicts a label but the data have none", head.place("predicts"),
                          Hint("data with a `label`"), f"heads.{name}")
    return None if info.classes > 1 else Diagnostic(UNLABELLED, f"{name!r} predicts a label, but all labels are the same",
                                                    head.place("predicts"), f"remove {name}", f"heads.{name}")


def columns_of(name: str, head: Head, info: DataInfo) -> tuple[tuple[str, bool, int, int], ...]:
    """The columns that a head predicts: the metric of each, whether it is a category, and where it stands among the answers."""
    starts = dict(zip((each.name for each in info.predicted),
                      accumulate((each.width(info.classes) for each in info.predicted), initial=0), strict=False))
    known = {each.name: each for each in info.predicted}
    found = []
    for column in head.columns:
        category = known[column].kind in ("category", "label")
        metric = f"{name}{f'_{column}' if len(head.columns) > 1 else ''}_{'accuracy' if category else 'r2'}"
        found.append((metric, category, starts[column], known[column].width(info.classes)))
    return tuple(found)
