"""The static types that flow between layers, without the batch axis N."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Vector:
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
class Grid:
    """A waveform, image or volume, tensor [N, channels, *size]; channels first."""

    channels: int
    size: tuple[int, ...]

    kind = "grid"

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

    def with_features(self, features: int) -> Grid:
        """The same places with another number of features."""
        return Grid(features, self.size)

    def __str__(self) -> str:
        return f"grid({self.channels}; {'×'.join(map(str, self.size))})"


@dataclass(frozen=True)
class Sequence:
    """A series of vectors, tensor [N, length, size]; features last."""

    length: int
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

    @property
    def places(self) -> tuple[int, ...]:
        """The length, as a tuple of one."""
        return (self.length,)

    def with_features(self, features: int) -> Sequence:
        """The same places with another number of features."""
        return Sequence(self.length, features)

    def __str__(self) -> str:
        return f"sequence({self.length}; {self.size})"


@dataclass(frozen=True)
class Tokens:
    """Whole numbers below `classes`, tensor [N, length] of integers: text, or the indices of a discrete code."""

    length: int
    classes: int

    kind = "tokens"

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape after the batch axis."""
        return (self.length,)

    @property
    def features(self) -> int:
        """Values at one place."""
        return 1

    @property
    def places(self) -> tuple[int, ...]:
        """The length, as a tuple of one."""
        return (self.length,)

    def with_features(self, features: int) -> Sequence:
        """The same places with vectors of that many features."""
        return Sequence(self.length, features)

    def __str__(self) -> str:
        return f"tokens({self.length}; {self.classes})"


Value = Vector | Grid | Sequence | Tokens


def elements(value: Value) -> int:
    """How many numbers one sample of this type holds."""
    return prod(value.shape)


@dataclass(frozen=True)
class Range:
    """The interval that data values lie in; None means unbounded on that side."""

    low: float | None = None
    high: float | None = None
    integer: bool = False

    def within(self, low: float, high: float) -> bool:
        """True if every value surely lies in [low, high]."""
        return self.low is not None and self.high is not None and low <= self.low and self.high <= high

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"unbounded {'whole' if self.integer else 'real'} numbers"
        return f"{'whole numbers' if self.integer else 'numbers'} in [{self.low:g}, {self.high:g}]"
