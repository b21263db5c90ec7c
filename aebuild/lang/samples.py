"""What the data side hands to the rest: types, ranges, divided samples and their scaling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.lang.values import Grid, Range, Sequence, Value, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1 << 22       # elements scaled at a time in double precision


def _silent(message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Where:
    """Where data are looked for.

    `base` is what relative paths start from (the spec's folder), `root` holds the known data sets (None: AEBUILD_DATA,
    else the cache folder), `say` is told in a sentence what takes long, such as a download.
    """

    base: Path
    root: Path | None = None
    say: Callable[[str], None] = _silent


def value_json(value: Value) -> dict[str, Any]:
    """A value type as JSON."""
    return {"kind": value.kind, "shape": list(value.shape)}


def value_of_shape(shape: tuple[int, ...]) -> Value:
    """The type that a declared shape means: [D] a vector, [T, D] a sequence, [C, H, W] and longer a grid."""
    if len(shape) == 1:
        return Vector(shape[0])
    return Sequence(shape[0], shape[1]) if len(shape) == 2 else Grid(shape[0], shape[1:])


def value_from_json(data: dict[str, Any]) -> Value:
    """The value type that `value_json` wrote."""
    shape = tuple(int(extent) for extent in data["shape"])
    return Grid(shape[0], shape[1:]) if data["kind"] == "grid" else value_of_shape(shape)


@dataclass(frozen=True)
class DataInfo:
    """What is known of the data, before or after reading them.

    `value` is what the encoder gets, `target` what the decoder must give; `range` and `target_range` hold their scaled
    values. `classes` is None without labels and where no header tells their number. `counts` has the samples in
    train, validation and test, None where no header tells. `detected` is one sentence for the user.
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

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return asdict(self) | {"value": value_json(self.value), "target": value_json(self.target)} | {
            name: None if getattr(self, name) is None else list(getattr(self, name))
            for name in ("class_names", "columns", "target_columns")}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DataInfo:
        """What `to_json` wrote."""
        names = {name: None if data[name] is None else tuple(data[name]) for name in ("class_names", "columns", "target_columns")}
        types = {name: value_from_json(data[name]) for name in ("value", "target")}
        ranges = {name: Range(**data[name]) for name in ("range", "target_range")}
        return cls(**(data | names | types | ranges))


@dataclass(frozen=True)
class Scaling:
    """How raw values become the model's: (raw - offset) * factor, then clipped to [low, high] where these are given.

    One offset and factor for all values, or one for each feature: on the last axis of sequences (`last`), on axis 1 of
    vectors and grids. No factor is zero.
    """

    kind: str = "none"
    offset: tuple[float, ...] = (0.0,)
    factor: tuple[float, ...] = (1.0,)
    last: bool = False
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return asdict(self) | {"offset": list(self.offset), "factor": list(self.factor)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Scaling:
        """What `to_json` wrote."""
        return cls(**(data | {"offset": tuple(data["offset"]), "factor": tuple(data["factor"])}))

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw values [N, ...] as the model's, float32; what float32 cannot hold becomes infinite."""
        import numpy as np

        if raw.dtype == np.uint8 and len(self.offset) == 1:
            levels = Scaling(self.kind, self.offset, self.factor, low=self.low, high=self.high).apply(np.arange(256.0)[:, None])
            return np.take(levels[:, 0], raw)
        scaled = np.empty(raw.shape, np.float32)
        for rows in self._chunks(raw.shape):
            part = (raw[rows].astype(np.float64) - self._spread(self.offset, raw.ndim)) * self._spread(self.factor, raw.ndim)
            with np.errstate(over="ignore"):
                scaled[rows] = part if self.low is None else np.clip(part, self.low, self.high)
        return scaled

    def undo(self, scaled: NDArray[Any]) -> NDArray[np.float32]:
        """The model's values [N, ...] as raw ones, float32."""
        import numpy as np

        raw = np.empty(scaled.shape, np.float32)
        for rows in self._chunks(scaled.shape):
            raw[rows] = scaled[rows].astype(np.float64) / self._spread(self.factor, raw.ndim) + self._spread(self.offset, raw.ndim)
        return raw

    def outside(self, raw: NDArray[Any]) -> int:
        """How many raw values [N, ...] the clipping changes."""
        import numpy as np

        if self.low is None or self.high is None:
            return 0
        unclipped = Scaling(self.kind, self.offset, self.factor, self.last)
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


@dataclass
class Split:
    """One of the three parts: samples [n, *shape] float32, labels int64 with -1 unknown, and targets if not the input."""

    x: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None
    target: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.x)


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
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the labels; empty without labels."""
        return self.info.class_names or ()
