"""Columns of words as categories: which words there are, and which number each of them gets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aebuild.data.errors import fault, listed, shown, similar
from aebuild.data.formats.empty_cells import GAPS, REMEDY
from aebuild.data.labels import ordered
from aebuild.data.rules import NO_SUCH_NAME, NOT_FINITE
from aebuild.lang.columns import OTHER, Field, Kind
from aebuild.lang.dataset import Columned
from aebuild.lang.diagnostics import DataError, Hint, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.tables import Sheet

MOST_GUESSED = 100        # different words of a column that is taken for categories unasked
MOST = 10_000
FLAGS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on"))
DIGITS = ("0", "1")

UNKNOWN_CATEGORY = Rule("AE432", "a word that is no category", """\
The categories of a column are all the words that it holds in the table that the model is trained on, or those that `categories` lists. New
data may hold others, of which the model knows nothing. They are refused; with `unknown: other` they are a class of their own, which never
occurs in training, so that the model finds it unlikely.

```yaml
data: {path: orders.csv, categories: {country: [de, fr]}}                     # row 12 holds it
```
```yaml
data: {path: orders.csv, categories: {country: [de, fr]}, unknown: other}
```
""")
TOO_MANY = Rule("AE433", "too many categories", """\
Each category is a feature of its own, of which one is 1. A column of names, ids or texts has as many of them as rows, and nothing can be
learned about a word that occurs once. Leave such a column out.

```yaml
data: {path: orders.csv, categories: [customer]}          # 80,000 different ones
```
```yaml
data: {path: orders.csv, categories: [country]}
```
""")


@dataclass(frozen=True)
class TableColumn:
    """A column that is an input or a target: its place, and its categories or what 0 and 1 of a flag are called."""

    place: int
    name: str
    kind: Kind = "number"
    words: tuple[str, ...] = ()


def repeats(known: Sequence[str]) -> bool:
    """True for words that name few things: two at least, and half as many as cells at most."""
    different = len(set(known))
    return 1 < different <= MOST_GUESSED and 2 * different <= len(known)


def is_flag(known: Collection[str]) -> bool:
    """True for words that mean true and false, both of which occur."""
    return tuple(sorted({word.lower() for word in set(known)})) in FLAGS and len(set(known)) == 2


def listed_categories(sheet: Sheet, part: Columned) -> tuple[dict[int, set[str]] | None, list[int]]:
    """The categories that the spec lists by column, None where it lists none, and the columns that it calls categories."""
    if isinstance(part.categories, dict):
        given = {sheet.find(name, part, "categories"): {str(word) for word in words} for name, words in part.categories.items()}
        return given, list(given)
    return None, sheet.find_all(part.categories or [], part, "categories")


def category(sheet: Sheet, place: int, found: Collection[str], part: Columned, *, guessed: bool) -> TableColumn:
    """The column with its categories, in the order of their numbers or letters."""
    name = sheet.names[place]
    called = f"column {shown(name)} of {shown(sheet.path.name)}"
    words = set(DIGITS) if place in sheet.flags else {word for word in found if word not in GAPS}
    if not words:
        raise fault(NO_SUCH_NAME, f"{called} holds no word", part=part, at=("categories",))
    if len(words) > MOST:
        raise fault(TOO_MANY, f"{called} holds {len(words):,} different words; {MOST:,} are the most", Hint("leave it out (columns)"),
                    part=part, at=("categories", "columns"))
    flag = part.unknown == "error" and (is_flag(words) or (not guessed and tuple(sorted(words)) == DIGITS))
    if flag:
        return TableColumn(place, name, "flag", tuple(sorted(words, key=str.lower)))
    return TableColumn(place, name, "category", (*ordered(words), *([OTHER] if part.unknown == "other" else [])))


def numbered(words: Sequence[str], column: TableColumn | Field, table: str, part: Columned, start: int = 0) -> NDArray[np.float64]:
    """The number of each word among the column's categories, [n]; NaN where a cell is empty.

    Refuses an empty cell where nothing fills it, and a word that is no category, by the name of the `table` and the row from `start`.
    """
    import numpy as np

    numbers: dict[str, float] = {word: number for number, word in enumerate(column.words)}
    numbers |= dict.fromkeys(GAPS, float("nan"))
    other = numbers.get(OTHER) if part.unknown == "other" else None
    codes = np.empty(len(words))
    for row, word in enumerate(words):
        code = numbers.get(word, other)
        if code is None or (code != code and part.missing == "error"):
            raise _bad_cell(f"{table}, row {start + row:,}, column {shown(column.name)}", word, column, part)
        codes[row] = code
    return codes


def _bad_cell(where: str, word: str, column: TableColumn | Field, part: Columned) -> DataError:
    if word in GAPS:
        return fault(NOT_FINITE, f"{where}: the cell is empty", Hint(REMEDY))
    near = similar(word, column.words)
    advice = "a model that is trained with `unknown: other` has a class for it"
    return fault(UNKNOWN_CATEGORY, f"{where}: {shown(word)!r} is none of its categories {listed(column.words, 12)}",
                 Hint(f"did you mean {near}? Else {advice}" if near else advice), part=part, at=("categories", "path"))
