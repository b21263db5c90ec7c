"""Data as they were read: divided samples and their scaling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from aebuild.lang.binarize import zeros_and_ones
from aebuild.lang.sample_storage import Held, Store
from aebuild.lang.samples import DataInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1 << 22       # elements scaled at a time in double precision


@dataclass(frozen=True)
class Scaling:
    """How raw values become the model's: (raw - offset) * factor, then clipped to [low, high] where these are given.

    With `coins` the result is drawn as zeros and ones, each a one with that probability, the same for the same sample.

    A raw value that is missing (NaN) becomes that of its feature in `fill` first. Tokens stay the whole numbers that they are, from
    `low` to `high`.

    One offset and factor for all values, or one for each feature: on the last axis of sequences (`last`), on axis 1 of
    vectors and grids. No factor is zero.
    """

    kind: str = "none"
    offset: tuple[float, ...] = (0.0,)
    factor: tuple[float, ...] = (1.0,)
    last: bool = False
    low: float | None = None
    high: float | None = None
    fill: tuple[float, ...] = ()
    coins: bool = False

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return asdict(self) | {name: list(getattr(self, name)) for name in ("offset", "factor", "fill")}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Scaling:
        """What `to_json` wrote; runs of earlier versions have no `fill` and no `coins`."""
        return cls(**(data | {name: tuple(data.get(name, ())) for name in ("offset", "factor", "fill")}))

    def apply(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Raw values [N, ...] as the model's, float32, what it cannot hold becomes infinite; tokens as int64."""
        import numpy as np

        if self.kind == "tokens":
            return raw.astype(np.int64)
        if raw.dtype == np.uint8 and (levels := self.levels) is not None:
            return np.take(levels, raw)
        scaled = np.empty(raw.shape, np.float32)
        for rows in self._chunks(raw.shape):
            part = (self.filled(raw[rows]).astype(np.float64) - self._spread(self.offset, raw.ndim)) * self._spread(self.factor, raw.ndim)
            with np.errstate(over="ignore"):
                scaled[rows] = part if self.low is None else np.clip(part, self.low, self.high)
        return zeros_and_ones(scaled) if self.coins else scaled

    def filled(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Raw values [N, ...] with those that are missing filled in."""
        import numpy as np

        return np.where(np.isnan(raw), self._spread(self.fill, raw.ndim), raw) if self.fill else raw

    @property
    def levels(self) -> NDArray[np.float32] | None:
        """What each of the 256 bytes becomes, [256]; None where features are scaled differently, and of tokens."""
        import numpy as np

        if len(self.offset) > 1 or self.fill or self.coins or self.kind == "tokens":
            return None
        return Scaling(self.kind, self.offset, self.factor, low=self.low, high=self.high).apply(np.arange(256.0)[:, None])[:, 0]

    def undo(self, scaled: NDArray[Any]) -> NDArray[Any]:
        """The model's values [N, ...] as raw ones, float32; tokens as int64."""
        import numpy as np

        if self.kind == "tokens":
            return scaled.astype(np.int64)
        raw = np.empty(scaled.shape, np.float32)
        for rows in self._chunks(scaled.shape):
            raw[rows] = scaled[rows].astype(np.float64) / self._spread(self.factor, raw.ndim) + self._spread(self.offset, raw.ndim)
        return raw

    def outside(self, raw: NDArray[Any]) -> int:
        """How many raw values [N, ...] the clipping changes."""
        import numpy as np

        if self.low is None or self.high is None:
            return 0
        unclipped = Scaling(self.kind, self.offset, self.factor, self.last, fill=self.fill)
        clipped = 0
        for rows in self._chunks(raw.shape):
            part = unclipped.apply(raw[rows])
            clipped += int(np.count_nonzero((part < self.low) | (part > self.high)))
        return clipped

    def _spread(self, values: tuple[float, ...], ndim: int) -> NDArray[np.float64]:
        import numpy as np

        return np.asarray(values, np.float64).reshape(-1 if self.last or len(values) == 1 else (len(values), *(1,) * (ndim - 2)))

    @staticmethod
    def _chunks(shape: tuple[int, ...]) -> list[slice]:
        rows = max(1, CHUNK // max(1, prod(shape[1:])))
        return [slice(start, start + rows) for start in range(0, shape[0], rows)]


@dataclass(frozen=True)
class Windows:
    """Where samples that are windows lie: the first row of each, [n], in a table of so many `rows`, one a step.

    Samples that are whole series lie there too: their first `lengths` [n] steps, the rest is padding.
    """

    starts: NDArray[np.int64]
    length: int
    rows: int
    lengths: NDArray[np.int64] | None = None

    def taken(self, index: NDArray[np.int64]) -> Windows:
        """Those of these samples."""
        return Windows(self.starts[index], self.length, self.rows, None if self.lengths is None else self.lengths[index])

    def places(self, first: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rows of the steps of samples `first` to `stop`, [n, length], and which of them there are."""
        import numpy as np

        steps = np.arange(self.length)
        rows = self.starts[first:stop, None] + steps
        there = np.ones(rows.shape, bool) if self.lengths is None else steps < self.lengths[first:stop, None]
        return rows, there


@dataclass(frozen=True)
class Chunks:
    """Samples that are chunks of longer ones, one after the other.

    `begins` [n] tells the first of each; `starts` [n] are where chunks begin, in places of the whole or in rows of a table, and
    `lengths` [n] how many of their places are real, the first ones.
    """

    begins: NDArray[np.bool_]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


class Split:
    """One of the three parts: samples, labels int64 [n] with -1 unknown, and targets if these are not the input.

    `lengths`, int64 [n], are the places of a series that are real, the first ones; None where all are. A data set may bring along more
    of what a `modules.outputs.Batch` has, by its name, [n, ...]: `conditions`, `mask`, `weights`, `ids`. `windows` says where samples
    lie that were cut from longer series, `origin` the part that samples were read from and their rows there. `factors`, int64
    [n, len(info.factors)], are what samples were made from, where that is known; no model reads them. `chunks` says where chunks of longer
    samples lie, of which a model goes on from each to the next. None where samples stand alone.

    Samples and targets are a Store, or an array [n, *shape] of scaled numbers, float32, or of tokens, int64.
    """

    def __init__(self, x: NDArray[Any] | Store, labels: NDArray[np.int64] | None = None,
                 target: NDArray[Any] | Store | None = None, lengths: NDArray[np.int64] | None = None,
                 **more: NDArray[Any]) -> None:
        self.inputs = x if isinstance(x, Store) else Held(x)
        self.labels, self.lengths = labels, lengths
        self.windows: Windows | None = None
        self.origin: tuple[str, NDArray[np.int64]] | None = None
        self.factors: NDArray[np.int64] | None = None
        self.chunks: Chunks | None = None
        self.flipped = False               # training draws zeros and ones from it, each time anew
        self.beside = {name: held for name, held in {"labels": labels, "lengths": lengths, **more}.items() if held is not None}
        self.targets = target if target is None or isinstance(target, Store) else Held(target)

    def __len__(self) -> int:
        return len(self.inputs)

    def thinned(self, count: int) -> Split:
        """So many of the samples, evenly spaced, in memory."""
        import numpy as np

        return self.taken(np.linspace(0, len(self) - 1, count).round().astype(np.int64))

    def taken(self, index: NDArray[np.int64]) -> Split:
        """These samples, in memory."""
        def some(store: Store) -> Held:
            return Held(store.take(index), store.levels)

        chosen = Split(some(self.inputs), target=None if self.targets is None else some(self.targets),
                       **{name: held[index] for name, held in self.beside.items()})
        if self.windows is not None:
            chosen.windows = self.windows.taken(index)
        chosen.flipped = self.flipped
        chosen.factors = None if self.factors is None else self.factors[index]
        return chosen

    def flat(self) -> Iterator[NDArray[Any]]:
        """The samples scaled, [n, values], CHUNK numbers at a time; those on disk are read in order."""
        import numpy as np

        rows = max(1, CHUNK // max(1, prod(self.inputs.shape[1:])))
        for start in range(0, len(self), rows):
            index = np.arange(start, min(start + rows, len(self)))
            yield self.inputs.scaled(self.inputs.take(index)).reshape(len(index), -1)

    @property
    def streamed(self) -> bool:
        """True where the samples are read from disk whenever they are taken."""
        return self.inputs.blocks() is not None

    @property
    def aims(self) -> Store:
        """What is to be reconstructed."""
        return self.inputs if self.targets is None else self.targets

    @cached_property
    def x(self) -> NDArray[Any]:
        """All samples scaled, [n, *shape]; bytes are turned into numbers once, and streamed samples are all read."""
        return _whole(self.inputs)

    @cached_property
    def target(self) -> NDArray[Any] | None:
        """All targets scaled, None if they are the input."""
        return None if self.targets is None else _whole(self.targets)


def _whole(store: Store) -> NDArray[Any]:
    import numpy as np

    return store.scaled(store.values if isinstance(store, Held) else store.take(np.arange(len(store))))


@dataclass
class Splits:
    """Divided and scaled samples; `notes` are sentences the user should read."""

    train: Split
    validation: Split
    test: Split
    scaling: Scaling
    info: DataInfo
    target_scaling: Scaling | None = None         # None: the target is the input
    notes: tuple[str, ...] = field(default=())

    @property
    def streamed(self) -> bool:
        """True where the samples stay on disk."""
        return self.train.streamed

    @property
    def held_back(self) -> Split | None:
        """The validation samples, which something may be chosen by; None where there are none, or they are judged for want of others."""
        return self.validation if len(self.validation) and len(self.test) else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the labels; empty without labels."""
        return self.info.class_names or ()
