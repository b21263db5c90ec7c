"""What the columns of a table are within a sample: numbers, categories of which one is 1, and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["number", "category", "flag", "missing"]
OTHER = "(other)"          # the class of all words that are no category of their own


@dataclass(frozen=True)
class Field:
    """One column's features: `width` of them from `offset` on.

    A number is a feature as it is. A category has a feature for each of its `words`, of which one is 1 and the others are 0. A flag is
    0 or 1, called as its two `words` say. `missing` is 1 where the cell of the column of this name is empty, else 0.
    """

    name: str
    kind: Kind
    offset: int
    width: int = 1
    words: tuple[str, ...] = ()

    @property
    def features(self) -> slice:
        """Where its features stand."""
        return slice(self.offset, self.offset + self.width)

    @property
    def names(self) -> tuple[str, ...]:
        """What messages call its features."""
        match self.kind:
            case "category":
                return tuple(f"{self.name}={word}" for word in self.words)
            case "missing":
                return (f"{self.name} is empty",)
            case "number" | "flag":
                return (self.name,)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self) | {"words": list(self.words)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Field:
        """What `to_json` wrote."""
        return cls(**(data | {"words": tuple(data["words"])}))


def feature_names(fields: Sequence[Field]) -> tuple[str, ...]:
    """What messages call each feature of a sample."""
    return tuple(name for field in fields for name in field.names)
