"""Samples before they are divided: in an array, or read one by one when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from aebuild.data.layout import Layout
from aebuild.data.outline import Outline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Samples(Protocol):
    """Raw samples that can be taken by number."""

    def __len__(self) -> int:
        """How many there are."""

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Samples [n, *value.shape] in the order of the index."""

    def name(self, row: int) -> str:
        """What a message calls this sample."""


@dataclass
class Stored:
    """Samples held in one array [N, ...]."""

    array: NDArray[Any]
    layout: Layout
    file: str
    origin: int = 0       # number of the first record, where the array was cut out of a longer one
    word: str = "record"

    def __len__(self) -> int:
        return len(self.array)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Samples [n, *value.shape]."""
        return self.layout.arrange(self.array[index])

    def name(self, row: int) -> str:
        """File and record."""
        return f"{self.file}, {self.word} {row + self.origin}"


@dataclass
class Cut:
    """Windows cut from series [S, T, D], by series and first step."""

    series: NDArray[Any]
    places: list[tuple[int, int]]
    length: int
    file: str
    word: str = "row"

    def __len__(self) -> int:
        return len(self.places)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Windows [n, length, D]."""
        import numpy as np

        chosen = np.asarray([self.places[row] for row in index], np.int64).reshape(-1, 2)
        steps = chosen[:, 1:] + np.arange(self.length)
        picked: NDArray[Any] = self.series[chosen[:, :1], steps]
        return picked

    def name(self, row: int) -> str:
        """File, series and steps."""
        series, start = self.places[row]
        inside = f"series {series}, " if len(self.series) > 1 else ""
        return f"{self.file}, {inside}the window from {self.word} {start}"


@dataclass
class Raw:
    """All samples by part: train, and others the data bring along.

    Labels are class numbers, -1 unknown.
    """

    outline: Outline
    x: dict[str, Samples]
    labels: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    target: dict[str, Samples] = field(default_factory=dict)
