"""Samples before they are divided: in an array, or read one by one when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aebuild.data.axes import Layout
from aebuild.data.probe import Outline
from aebuild.lang.splits import Windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Rows = dict[str, tuple[str, "NDArray[np.int64]"]]     # part -> (the raw part it comes from, rows there)
BLOCK = 1 << 10       # rows of a block where the format has none


class Samples(Protocol):
    """Raw samples that can be taken by number."""

    def __len__(self) -> int:
        """How many there are."""

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Samples [n, *value.shape] in the order of the index."""

    def name(self, row: int) -> str:
        """What a message calls this sample."""


class Sharded(Samples, Protocol):
    """Samples that stay on disk."""

    def blocks(self) -> NDArray[np.int64]:
        """The first rows of the blocks that are read together, and the number of rows."""

    def sources(self) -> Sequence[Path]:
        """The files that the samples are read from."""


def even_blocks(borders: Sequence[int]) -> NDArray[np.int64]:
    """Borders between stretches of rows, with more of them where a stretch is longer than a block."""
    import numpy as np

    pieces = [np.arange(start, stop, BLOCK, dtype=np.int64) for start, stop in pairwise(borders)]
    return np.concatenate([*pieces, np.asarray(borders[-1:], np.int64)])


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
        import numpy as np

        chosen = np.asarray(self.array[index])
        return self.layout.arrange(chosen.astype(chosen.dtype.newbyteorder("="), copy=False))

    def blocks(self) -> NDArray[np.int64]:
        """Records that follow each other."""
        return even_blocks([0, len(self)])

    def sources(self) -> Sequence[Path]:
        """The file that the array lies in, if it is not in memory."""
        file = getattr(self.array, "filename", None)
        return [] if file is None else [Path(file)]

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


    def lie(self) -> Windows:
        """Where they lie in the rows of all series."""
        import numpy as np

        each = self.series.shape[1]
        return Windows(np.asarray([series * each + start for series, start in self.places], np.int64), self.length,
                       each * len(self.series))


@dataclass
class Whole:
    """Whole series as samples [length, D]: their steps one series after the other, the first row and the steps of each; padded with 0.

    What is longer than `length` is cut at the end.
    """

    values: NDArray[Any]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    length: int
    file: str
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The real steps of each sample."""
        import numpy as np

        kept: NDArray[np.int64] = np.minimum(self.counts, self.length)
        return kept

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Series [n, length, D]."""
        import numpy as np

        steps = np.arange(self.length)
        picked = np.take(self.values, self.starts[index, None] + steps, axis=0, mode="clip")
        picked[steps >= self.lengths[index, None]] = 0
        return picked

    def name(self, row: int) -> str:
        """File and series."""
        return f"{self.file}, the series {self.names[row]}"

    def lie(self) -> Windows:
        """Where they lie in the rows."""
        return Windows(self.starts, self.length, len(self.values), self.lengths)


def windows_of(readers: Sequence[tuple[Samples, NDArray[np.int64] | None]]) -> Windows | None:
    """Where the chosen windows or series of readers lie, None for all of them, in the rows of all; None if some are neither."""
    import numpy as np

    found: list[Windows] = []
    rows = 0
    for samples, chosen in readers:
        if not isinstance(samples, Cut | Whole):
            return None
        lie = samples.lie() if chosen is None else samples.lie().taken(chosen)
        found.append(replace(lie, starts=rows + lie.starts))
        rows += lie.rows
    lengths = [each.lengths for each in found if each.lengths is not None]
    return Windows(np.concatenate([each.starts for each in found]), found[0].length, rows, np.concatenate(lengths) if lengths else None)


@dataclass
class Raw:
    """All samples by part: train, and others the data bring along.

    Labels are class numbers, -1 unknown. `lengths` are the real places of series that are padded. Where they are `streamed`,
    all samples are Sharded. `beside` reads, by part, the columns that are no inputs (ids, times, file names) as cells, by name: one a
    sample, or where samples are windows or whole series one a row, in the order of `Cut.series` or `Whole.values`. `steps` are the labels
    of these rows as words, "" where none is known. `factors` [n, factors of the outline] are what samples were made from.
    `conditions` reads, by part, the columns and times that the spec asks for as conditions, a row as `beside` has them; `mark` is the
    decimal mark of its numbers.
    """

    outline: Outline
    x: Mapping[str, Samples]
    labels: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    target: Mapping[str, Samples] = field(default_factory=dict)
    streamed: bool = False
    lengths: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    beside: Callable[[str], Mapping[str, Sequence[str]]] | None = None
    steps: Sequence[str] | None = None
    factors: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    conditions: Callable[[str], Mapping[str, Any]] | None = None
    mark: str = "."
