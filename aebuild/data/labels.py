"""From what a file holds as labels to class numbers and names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, shown
from aebuild.data.rules import BAD_LABELS
from aebuild.lang.diagnostics import DataError, Hint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.lang.dataset import Dataset

MOST_CLASSES = 10_000
UNKNOWN = ("", "nan", "NaN", "NAN", "NA", "<NA>")       # how pandas, R and spreadsheets write a label that is not known
ANOMALOUS = ("abnormal", "anomaly", "anomalous", "anomalies", "outlier", "outliers")
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def number_of(word: str) -> float | None:
    """The number that a word spells, if it does."""
    try:
        return float(word)
    except ValueError:
        return None


def ordered(names: set[str]) -> tuple[str, ...]:
    """Class names in the order of their numbers: by size if all are numbers, else by letter."""
    numbers = {name: number_of(name) for name in names}
    if all(number is not None for number in numbers.values()):
        return tuple(sorted(names, key=lambda name: (numbers[name] or 0.0, name)))
    return tuple(sorted(names))


def classify(words: Mapping[str, Sequence[str]], where: str) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Class numbers of each part, and the class names; an empty word, NaN and NA are unknown labels (-1)."""
    import numpy as np

    words = {part: [_class(word) for word in held] for part, held in words.items()}
    for held in words.values():
        check_words(held, where)
    names = ordered({word for held in words.values() for word in held if word})
    if not names:
        raise fault(BAD_LABELS, f"{where}: no label is known")
    if len(names) > MOST_CLASSES:
        raise fault(BAD_LABELS, f"{where}: {len(names):,} different labels; more than {MOST_CLASSES:,} are no classes")
    numbers = {"": -1} | {name: number for number, name in enumerate(names)}
    return {part: np.asarray([numbers[word] for word in held], np.int64) for part, held in words.items()}, names


def words_of(numbers: NDArray[np.int64] | None, names: Sequence[str], count: int) -> list[str]:
    """The classes of `count` samples as words, "" where a label is not known."""
    return [""] * count if numbers is None else [names[number] if number >= 0 else "" for number in numbers.tolist()]


def usual_anomalies(part: Dataset, there: Collection[str], known: Sequence[str]) -> set[str]:
    """The labels that mean an anomaly where nobody says which: by the word, else the classes of `known` that training never sees."""
    exclude = getattr(part, "exclude", None)
    classes = () if exclude is None else exclude.classes
    return called_anomalous(there) or {class_word(each, known) for each in classes}


def called_anomalous(there: Collection[str]) -> set[str]:
    """The labels that mean an anomaly by their word."""
    return {word for word in there if word.lower() in ANOMALOUS}


def class_word(wanted: str | int, known: Sequence[str]) -> str:
    """The name of a class that is given by its name, or by its number where no class is called so."""
    word = str(wanted)
    return word if word in known or not isinstance(wanted, int) or not 0 <= wanted < len(known) else known[wanted]


def _class(word: str) -> str:
    """The name of a class, one for `1` and `1.0`, and none for what is unknown."""
    if word in UNKNOWN:
        return ""
    whole = _WHOLE.fullmatch(word)
    return whole[1] if whole else word


def check_words(words: Sequence[str], where: str) -> None:
    """Refuses labels that are all numbers but not all whole ones: those are measured, not classes."""
    known = {word for word in map(str.strip, words) if word not in UNKNOWN}
    numbers = {word: number_of(word) for word in known}
    if not known or any(number is None for number in numbers.values()):
        return
    broken = sorted(word for word, number in numbers.items() if number is not None and not number.is_integer())
    if broken:
        raise fault(BAD_LABELS, f"{where}: the label {shown(broken[0])} is no whole number; labels are classes",
                    Hint("make it a `target`, or write classes as whole numbers or words"))


def as_words(array: NDArray[Any], where: str) -> list[str]:
    """An array of labels [N] as words: whole numbers or text; -1, NaN and empty text are unknown."""
    import numpy as np

    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise fault(BAD_LABELS, f"{where} has shape {list(array.shape)}; labels stand in one column, one for each sample")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "U":
        return [word.strip() for word in array.tolist()]
    if array.dtype.kind == "f":
        return [_whole(value, row, where) for row, value in enumerate(array.tolist())]
    values = array.astype(np.int64)
    if (values < -1).any():
        raise _below(where, int(values.min()))
    if (values == -1).any() and len(np.unique(values)) == 2:
        raise fault(BAD_LABELS, f"{where} holds -1 and {values.max()}; -1 means that a label is not known, which leaves one class",
                    Hint("write 0 and 1"))
    return ["" if value < 0 else str(value) for value in values.tolist()]


def _whole(value: float, row: int, where: str) -> str:
    if value != value or value == -1:
        return ""
    if value in (float("inf"), float("-inf")) or value != int(value):
        raise fault(BAD_LABELS, f"{where}, record {row}: the label {value:g} is no whole number; labels are classes")
    if value < -1:
        raise _below(where, int(value))
    return str(int(value))


def _below(where: str, value: int) -> DataError:
    return fault(BAD_LABELS, f"{where} holds {shown(value)}; labels are whole numbers from 0 on, or -1 where unknown")
