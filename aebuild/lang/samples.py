"""What is known of data before they are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.values import Range, Value, Vector, from_json, of_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


ConditionKind = Literal["label", "category", "number", "hour", "weekday", "month", "array", "image"]


def silent(message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Where:
    """Where data are looked for.

    `base` is what relative paths start from (the spec's folder), `root` holds the known data sets (None: AEBUILD_DATA,
    else the cache folder), `say` is told in a sentence what takes long, such as a download.
    """

    base: Path
    root: Path | None = None
    say: Callable[[str], None] = silent


class Form(ABC):
    """How samples are written in the form that data came in: a folder of pictures or sounds, a table, a text.

    `suffix` is that of the file, "" where it is a folder. Where samples are texts, `letters` is how many a token has at most or so.
    """

    suffix: str
    letters: int = 0

    def spelled(self, sample: NDArray[Any]) -> str | None:
        """What one sample says, in the data's own units; None where it is no text."""
        return None

    def by_name(self, batch: NDArray[Any]) -> dict[str, NDArray[Any]] | None:
        """Samples [n, W] in raw units as columns [n] by name, of numbers or words; None where this form has no such columns."""
        return None

    @abstractmethod
    def write(self, place: Path, batches: Iterable[NDArray[Any]], beside: Mapping[str, Sequence[str]]) -> None:
        """Writes batches [n, ...] in the data's own units, one after the other.

        `beside` has cells to write beside each sample, by the column's name; those that make file names are called `file`.
        """


@dataclass(frozen=True)
class Factor:
    """A whole number that samples were made from, from 0 on: how many values it takes, and whether they have an order."""

    name: str
    values: int
    ordered: bool = True


@dataclass(frozen=True)
class ConditionInfo:
    """What is known of each sample beside its values, as features that a model may read.

    A `label` is one-hot over the data's classes, a `category` over its `words`; a `number` is (raw − offset) · factor; an `hour` of the
    day, a `weekday` and a `month` are sine and cosine. What is not known of a sample is zero in all its features. An `image` of
    pixels and an `array` of any numbers (a series, a vector, a map) have that `shape`; flat they are (raw − offset) · factor.
    """

    name: str
    kind: ConditionKind
    words: tuple[str, ...] = ()
    offset: float = 0.0
    factor: float = 1.0
    shape: tuple[int, ...] = ()

    def value(self, classes: int | None) -> Value:
        """The type of what stands there flat."""
        return of_shape(self.shape) if self.shape else Vector(self.width(classes))

    def width(self, classes: int | None) -> int:
        """How many features it has, of a label with so many classes."""
        if self.kind == "label":
            return classes or 0
        if self.shape:
            return prod(self.shape)
        return {"category": len(self.words), "number": 1}.get(self.kind, 2)


_WORDS = ("class_names", "columns", "target_columns", "notes")


@dataclass(frozen=True)
class DataInfo:
    """What is known of the data, before or after reading them.

    `value` is what the encoder gets, `target` what the decoder must give; `range` and `target_range` hold their scaled
    values. `classes` is None without labels and where no header tells their number. `counts` has the samples in
    train, validation and test, None where no header tells. `detected` is one sentence for the user, `notes` are further
    ones that he should read: guesses, with the key that overrules them, and what was left out. `found` are fields of the dataset part
    that were found out from the data, by which new data are read; with `ragged` series have lengths of their own. `factors` are what the
    samples were made from, where that is known: each has a column of `Split.factors`.
    `conditions` are what the spec asks the data for, in its order; their features stand side by side in `Split.beside["conditions"]`.
    `predicted` are the columns that heads predict, their features in `Split.beside["answers"]`.
    """

    value: Value
    target: Value
    range: Range
    target_range: Range
    scale: str
    counts: dict[str, int | None]
    detected: str
    labelled: bool = False
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    target_columns: tuple[str, ...] | None = None
    ragged: bool = False
    factors: tuple[Factor, ...] = ()
    conditions: tuple[ConditionInfo, ...] = ()
    predicted: tuple[ConditionInfo, ...] = ()
    found: dict[str, Any] = field(default_factory=dict, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)          # what is said of data is no part of what they are

    @property
    def condition_columns(self) -> dict[str, tuple[int, int]]:
        """The first feature of each condition and the one behind its last, by name."""
        found, end = {}, 0
        for each in self.conditions:
            found[each.name] = end, end + each.width(self.classes)
            end = found[each.name][1]
        return found

    @property
    def condition_features(self) -> int:
        """How many features all conditions have."""
        return sum(each.width(self.classes) for each in self.conditions)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        typed = {name: getattr(self, name).to_json() for name in ("value", "target", "range", "target_range")}
        return asdict(self) | typed | {
            name: None if getattr(self, name) is None else list(getattr(self, name))
            for name in _WORDS}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DataInfo:
        """What `to_json` wrote."""
        names = {name: None if data[name] is None else tuple(data[name]) for name in _WORDS if name in data}
        types = {name: from_json(data[name]) for name in ("value", "target")}
        ranges = {name: Range.from_json(data[name]) for name in ("range", "target_range")}
        factors = tuple(Factor(**each) for each in data.get("factors", ()))          # runs of earlier versions have none
        beside = {name: tuple(ConditionInfo(**(each | {key: tuple(each.get(key, ())) for key in ("words", "shape")}))
                              for each in data.get(name, ()))
                  for name in ("conditions", "predicted")}
        return cls(**(data | names | types | ranges | beside | {"factors": factors}))
