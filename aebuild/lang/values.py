"""The static types that flow between layers, without the batch axis N.

What a type means for a tensor, a layer, a scaling or an output is said here once, as properties; where code must tell the types
apart in other ways it matches all of them, which the type checker proves.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import log2, prod
from typing import Any, ClassVar, Literal

from aebuild.lang.columns import Field


class _Type:
    """What every type answers.

    `dtype` is the tensor's. `feature_axis` is where the features of the tensor stand; of tokens, where those of what becomes of
    them stand. `columns` says that each feature is a column with a name and a scale of its own, and no channel. `usual_scale` is how
    data of the type are scaled where nothing is written.
    """

    kind: ClassVar[str]
    dtype: ClassVar[Literal["float32", "int64"]] = "float32"
    feature_axis: ClassVar[int] = 1
    columns: ClassVar[bool] = True
    usual_scale: ClassVar[str] = "standard"

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape after the batch axis."""
        raise TypeError(f"{type(self).__name__} has no shape")

    @property
    def features(self) -> int:
        """Values at one place."""
        raise TypeError(f"{type(self).__name__} has no features")

    @property
    def places(self) -> tuple[int, ...]:
        """The extent of each axis that is none of features; () for a value without places."""
        raise TypeError(f"{type(self).__name__} has no places")

    @property
    def axes(self) -> int:
        """Spatial axes, which a convolution can move along."""
        return 0

    @property
    def series_length(self) -> int | None:
        """Positions of what is read one after the other; None for what is not."""
        return None

    @property
    def other_axes(self) -> tuple[int, ...]:
        """The axes of the tensor [N, ...] that are not the features'."""
        rank = 1 + len(self.shape)
        return tuple(axis for axis in range(rank) if axis != self.feature_axis % rank)

    @property
    def flat(self) -> Vector:
        """All values of a sample as one vector."""
        return Vector(prod(self.shape))

    @property
    def bytes(self) -> int:
        """Bytes of one element of the tensor."""
        return 8 if self.dtype == "int64" else 4

    def bits(self, bounded: bool) -> float:
        """Bits of one element as data are usually stored: a byte where the values are `bounded`, else a float32."""
        return 8 if bounded else 32

    def alike(self, other: Value) -> bool:
        """True if both are of one kind and have the same places, so that they can be joined place by place."""
        return self.kind == other.kind and self.places == other.places

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"kind": self.kind, "shape": list(self.shape)}


@dataclass(frozen=True)
class Vector(_Type):
    """A flat vector, tensor [N, size]."""

    size: int

    kind = "vector"

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape after the batch axis."""
        return (self.size,)

    @property
    def features(self) -> int:
        """Values at one place."""
        return self.size

    @property
    def places(self) -> tuple[int, ...]:
        """The positions a value has; none here."""
        return ()

    def with_features(self, features: int) -> Vector:
        """The same places with another number of features."""
        return Vector(features)

    def __str__(self) -> str:
        return f"vector({self.size})"


@dataclass(frozen=True)
class Grid(_Type):
    """A waveform, image or volume, tensor [N, channels, *size]; channels first."""

    channels: int
    size: tuple[int, ...]

    kind = "grid"
    columns = False
    usual_scale = "unit"

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape after the batch axis."""
        return (self.channels, *self.size)

    @property
    def features(self) -> int:
        """Values at one place."""
        return self.channels

    @property
    def places(self) -> tuple[int, ...]:
        """The spatial size."""
        return self.size

    @property
    def axes(self) -> int:
        """One, two or three."""
        return len(self.size)

    def with_features(self, features: int) -> Grid:
        """The same places with another number of features."""
        return Grid(features, self.size)

    def with_places(self, size: tuple[int, ...]) -> Grid:
        """The same channels over other places."""
        return Grid(self.channels, size)

    def __str__(self) -> str:
        return f"grid({self.channels}; {'×'.join(map(str, self.size))})"


@dataclass(frozen=True)
class _Series(_Type):
    """What is read one position after the other."""

    length: int

    feature_axis = -1

    @property
    def places(self) -> tuple[int, ...]:
        """The length, as a tuple of one."""
        return (self.length,)

    @property
    def series_length(self) -> int:
        """The length."""
        return self.length

    def with_features(self, features: int) -> Sequence:
        """Vectors of that many features at the same places."""
        return Sequence(self.length, features)


@dataclass(frozen=True)
class Sequence(_Series):
    """A series of vectors, tensor [N, length, size]; features last."""

    size: int

    kind = "sequence"

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape after the batch axis."""
        return (self.length, self.size)

    @property
    def features(self) -> int:
        """Values at one place."""
        return self.size

    def with_places(self, places: tuple[int, ...]) -> Sequence:
        """The same features at another number of places."""
        return Sequence(places[0], self.size)

    def __str__(self) -> str:
        return f"sequence({self.length}; {self.size})"


@dataclass(frozen=True)
class Tokens(_Series):
    """A series of symbols, tensor [N, length] of whole numbers below `classes`.

    `layout` are the extents of the places that were put one after the other in raster order, as those of a grid of codes, with the
    symbols of one place as a last axis where there are several; () for a plain series.
    """

    classes: int
    layout: tuple[int, ...] = ()

    kind = "tokens"
    dtype = "int64"
    columns = False
    usual_scale = "tokens"

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape after the batch axis."""
        return (self.length,)

    @property
    def features(self) -> int:
        """Values at one place: the symbol."""
        return 1

    def bits(self, bounded: bool) -> float:
        """Bits that tell one of the classes."""
        return log2(self.classes)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {**super().to_json(), "classes": self.classes} | ({"layout": list(self.layout)} if self.layout else {})

    def __str__(self) -> str:
        return f"tokens({self.length}; {self.classes})"


Value = Vector | Grid | Sequence | Tokens


def of_shape(shape: tuple[int, ...]) -> Value:
    """The type that a declared shape means: [D] a vector, [T, D] a sequence, [C, H, W] and longer a grid."""
    if len(shape) == 1:
        return Vector(shape[0])
    return Sequence(shape[0], shape[1]) if len(shape) == 2 else Grid(shape[0], shape[1:])


def from_json(data: dict[str, Any]) -> Value:
    """The type that `to_json` wrote."""
    shape = tuple(int(extent) for extent in data["shape"])
    match data["kind"]:
        case "grid":
            return Grid(shape[0], shape[1:])
        case "tokens":
            return Tokens(shape[0], int(data["classes"]), tuple(data.get("layout", ())))
        case _:
            return of_shape(shape)


def elements(value: Value) -> int:
    """How many numbers one sample of this type holds."""
    return prod(value.shape)


@dataclass(frozen=True)
class Range:
    """The interval that data values lie in; None means unbounded on that side.

    `levels` is how many evenly spaced values there are between `low` and `high`, where the storage says so. `fields`
    tell the columns of a table apart where some are categories or flags; of plain numbers there are none.
    """

    low: float | None = None
    high: float | None = None
    integer: bool = False
    fields: tuple[Field, ...] = ()
    levels: int | None = field(default=None, compare=False)          # of how data are stored, not of what they are

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self) | {"fields": [each.to_json() for each in self.fields]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Range:
        """What `to_json` wrote; fields and levels are absent in runs of earlier versions."""
        return cls(**(data | {"fields": tuple(Field.from_json(each) for each in data.get("fields", ()))}))

    def within(self, low: float, high: float) -> bool:
        """True if every value surely lies in [low, high]."""
        return self.low is not None and self.high is not None and low <= self.low and self.high <= high

    def __str__(self) -> str:
        told = sum(each.kind != "number" for each in self.fields)
        beside = f", {told} of {len(self.fields)} columns categories or flags" if told else ""
        if self.low is None or self.high is None:
            return f"unbounded {'whole' if self.integer else 'real'} numbers{beside}"
        return f"{'whole numbers' if self.integer else 'numbers'} in [{self.low:g}, {self.high:g}]{beside}"
