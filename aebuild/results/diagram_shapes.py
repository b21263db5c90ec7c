"""What a diagram is made of, and the scale that its boxes are drawn to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import log
from typing import Literal

Role = Literal["weights", "plain", "data", "code", "frame", "cell", "half", "sum"]
WIDEST = 240.0          # of a box, in the drawing's units, which are pixels and points of a web page
THINNEST, THICKEST = 9.0, 24.0
LINEAR_UPTO = 40        # where the largest size is more than so many times the smallest, the scale is logarithmic
SMALL, BLANK = 7.5, 8.0      # what stands in small behind a text, and how far
LETTER = 0.6            # width of a letter of the fonts that are asked for, in font sizes, with some air


@dataclass(frozen=True)
class Shape:
    """A box, or a frame around boxes, with the paths of the plan's nodes that it stands for."""

    nodes: tuple[str, ...]
    role: Role
    x: float
    y: float
    width: float
    height: float
    title: str = ""
    inserted: bool = False

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.height


@dataclass(frozen=True)
class Words:
    """A line of text, with something `more` behind it in small; `y` is its middle."""

    x: float
    y: float
    text: str
    size: float = 9.0
    anchor: Literal["start", "middle", "end"] = "start"
    tone: Literal["ink", "grey"] = "ink"
    bold: bool = False
    turned: bool = False
    more: str = ""

    @property
    def length(self) -> float:
        """How long it is, at most."""
        more = BLANK + len(self.more) * SMALL * LETTER if self.more else 0.0
        return len(self.text) * self.size * LETTER * (1.06 if self.bold else 1.0) + more


@dataclass(frozen=True)
class Wire:
    """A line along points, with an arrow at its end or without."""

    points: tuple[tuple[float, float], ...]
    arrow: bool = True
    dashed: bool = False


@dataclass
class Drawing:
    """Everything that is drawn, in units of a coordinate system that begins anywhere."""

    shapes: list[Shape] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)

    def extents(self) -> tuple[float, float, float, float]:
        """The left, top, right and bottom edges."""
        edges = list(self._edges())
        lefts, tops, rights, bottoms = zip(*edges, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)

    def _edges(self) -> Iterator[tuple[float, float, float, float]]:
        yield from ((shape.x, shape.y, shape.x + shape.width, shape.bottom) for shape in self.shapes)
        yield from (extent_of(word) for word in self.words)
        yield from ((x, y, x, y) for wire in self.wires for x, y in wire.points)

    def add(self, other: Drawing, right: float = 0.0, down: float = 0.0) -> None:
        """Puts another drawing into this one, moved."""
        self.shapes += [replace(shape, x=shape.x + right, y=shape.y + down) for shape in other.shapes]
        self.words += [replace(word, x=word.x + right, y=word.y + down) for word in other.words]
        self.wires += [replace(wire, points=tuple((x + right, y + down) for x, y in wire.points)) for wire in other.wires]


def extent_of(word: Words) -> tuple[float, float, float, float]:
    """The left, top, right and bottom edges of a line of text."""
    across, along = (word.size * 0.6, word.length)
    if word.turned:
        return word.x - across, word.y - along / 2, word.x + across, word.y + along / 2
    left = word.x - {"start": 0.0, "middle": along / 2, "end": along}[word.anchor]
    return left, word.y - across, left + along, word.y + across


@dataclass(frozen=True)
class Scale:
    """Widths of boxes from the numbers of values that leave them, thickness from their parameters."""

    smallest: int
    largest: int
    parameters: int         # most that one box has

    @classmethod
    def of(cls, sizes: Iterable[int], parameters: Iterable[int]) -> Scale:
        """The scale on which all of these fit."""
        known = list(sizes)
        return cls(min(known), max(known), max(parameters, default=0))

    @property
    def logarithmic(self) -> bool:
        """True where the sizes are too far apart to be drawn as they are."""
        return self.largest > LINEAR_UPTO * self.smallest

    def width(self, values: int) -> float:
        """Of a box from which so many values go; on a logarithmic scale half the smallest size would be nothing."""
        if not self.logarithmic:
            return WIDEST * values / self.largest
        return WIDEST * log(2 * values / self.smallest) / log(2 * self.largest / self.smallest)

    def thickness(self, parameters: int) -> float:
        """Of a box with so many parameters, logarithmic."""
        if not parameters:
            return THINNEST
        share = log(1 + parameters) / log(1 + self.parameters)
        return THINNEST + 3 + (THICKEST - THINNEST - 3) * share

    def ticks(self) -> list[int]:
        """Round sizes for the legend: powers of ten within the scale and its end, or halves of a linear one."""
        if not self.logarithmic:
            return sorted({max(1, self.largest // 2), self.largest})
        powers = [10 ** power for power in range(len(str(self.largest)) + 1)]
        return [power for power in powers if self.smallest <= power and 3 * power <= self.largest] + [self.largest]
