"""What an array's axes mean: vectors, sequences or grids, features first or last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from aebuild.data.errors import fault
from aebuild.data.rules import UNFIT
from aebuild.lang.emit import emit
from aebuild.lang.part import Part
from aebuild.lang.values import Grid, Sequence, Value, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["vector", "sequence", "grid"]
Side = Literal["first", "last"]
COLOURS = (1, 3, 4)
BYTES = ("uint8", "bool")
FEW, LONG = 8, 100          # so few rows of so many numbers are channels of a recording rather than steps
IMAGE, SHAPE = 8, 4         # height and width of an image: at least so many, and at most so many times each other


@dataclass(frozen=True)
class Layout:
    """How stored samples become the type: `move` is the axis that goes to the front or the back, None leaves the axes.

    `others` are the readings that are nearly as likely, by the key that asks for them.
    """

    value: Value
    move: tuple[int, int] | None = None
    others: tuple[tuple[str, Value], ...] = ()

    def notes(self, what: str, keys: bool = True) -> tuple[str, ...]:
        """What the user should know of a guess; `keys` says whether the data have keys to overrule it."""
        if not self.others:
            return ()
        read = f"{what} is read as {self.value}"
        if not keys:
            return (f"{read}, not as {self.others[0][1]}: save its axes in the order [C, ...] if that is wrong",)
        return (f"{read}; " + ", ".join(f"`{key}` reads {value}" for key, value in self.others),)

    def arrange(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Samples [n, ...] as they are stored, as [n, *value.shape]."""
        import numpy as np

        turned = stored if self.move is None else np.moveaxis(stored, *self.move)
        return np.ascontiguousarray(turned).reshape(len(stored), *self.value.shape)


def usual_kind(shape: tuple[int, ...], dtype: str) -> Kind:
    """What axes and type suggest.

    [N, D] are vectors, [N, T, D] sequences unless they are bytes or square, then grey images; more axes are grids.
    """
    if len(shape) <= 2:
        return "vector"
    square = len(shape) == 3 and shape[1] == shape[2] >= IMAGE
    return "sequence" if len(shape) == 3 and dtype not in BYTES and not square else "grid"


def interpret(shape: tuple[int, ...], dtype: str, what: str, kind: Kind | None = None, side: Side | None = None,
              part: Part | None = None) -> Layout:
    """The layout of an array [N, ...]; `kind` and `side` overrule what its rank and type suggest."""
    sample = shape[1:]
    if not 1 <= len(sample) <= 4 or 0 in sample:
        window = windows_for(shape[0]) if len(shape) == 1 else None
        raise fault(UNFIT, f"{what} has shape {list(shape)}; samples stand on the first axis and have one to four more, none of them 0"
                    + ("; one long series needs a `window`" if not sample else ""), emit({"window": window}).strip() if window else None)
    found = _read(sample, what, kind or usual_kind(shape, dtype), side, part)
    others = tuple((f"{key}: {word}", _read(sample, what, *chosen, part).value) for key, word, chosen in _doubts(shape, dtype, kind, side))
    return replace(found, others=others)


def _read(sample: tuple[int, ...], what: str, kind: Kind, side: Side | None, part: Part | None) -> Layout:
    """The layout of samples of a kind."""
    if kind == "vector":
        _no_side(side, what, part)
        return Layout(Vector(prod(sample)))
    if kind == "sequence":
        return _sequence(sample, what, side, part)
    if len(sample) == 1 or (len(sample) == 2 and side is None):
        _no_side(side, what, part)
        return Layout(Grid(1, sample))
    if (side or likely_side(sample)) == "last":
        return Layout(Grid(sample[-1], sample[:-1]), (-1, 1))
    return Layout(Grid(sample[0], sample[1:]))


def windows_for(steps: int) -> dict[str, int] | None:
    """Windows that fit a series of so many steps, divided as usual; None if none do."""
    length = min(100, steps // 10)
    return {"length": length, "stride": max(1, length // 10)} if length else None


def _doubts(shape: tuple[int, ...], dtype: str, kind: Kind | None, side: Side | None) -> list[tuple[str, str, tuple[Kind, Side | None]]]:
    """The keys that would ask for another likely reading: key, word, and the kind and side that it means."""
    chosen, sample = kind or usual_kind(shape, dtype), shape[1:]
    first, last = sample[0], sample[-1]
    doubts: list[tuple[str, str, tuple[Kind, Side | None]]] = []
    if chosen == "vector" or len(sample) < 2:
        return doubts
    if chosen == "grid" and len(sample) > 2 and side is None and (first in COLOURS) == (last in COLOURS) and first != last:
        other: Side = "first" if likely_side(sample) == "last" else "last"
        doubts.append(("channels", other, ("grid", other)))
    if chosen == "grid" and len(sample) == 2 and side is None and _recording(sample):
        doubts.append(("channels", "first", ("grid", "first")))
    if chosen == "sequence" and side is None and last > first:
        other = "last" if _recording(sample) else "first"
        doubts.append(("channels", other, ("sequence", other)))
    if kind is None and side is None and len(sample) == 2 and dtype not in BYTES and IMAGE <= min(sample) >= max(sample) / SHAPE:
        instead: Kind = "sequence" if chosen == "grid" else "grid"
        doubts.append(("as", instead, (instead, None)))
    return doubts


def _recording(sample: tuple[int, ...]) -> bool:
    """True for few rows of many numbers, as of sound: channels first."""
    return len(sample) == 2 and sample[0] <= FEW and sample[1] >= LONG


def likely_side(sample: tuple[int, ...]) -> Side:
    """Where the channels of a grid stand.

    Last if that axis has 1, 3 or 4 values and the first has not, or is the longer one. If neither has so many, channels are the axis
    that differs from all others, else the shorter one of the two ends.
    """
    first, last = sample[0], sample[-1]
    if first in COLOURS or last in COLOURS:
        return "last" if last in COLOURS and (first not in COLOURS or first > last) else "first"
    if first == last:
        return "first"
    if len(set(sample[1:])) == 1 or len(set(sample[:-1])) == 1:
        return "first" if len(set(sample[1:])) == 1 else "last"
    return "last" if last < first else "first"


def _sequence(sample: tuple[int, ...], what: str, side: Side | None, part: Part | None) -> Layout:
    if len(sample) == 1:
        _no_side(side, what, part)
        return Layout(Sequence(sample[0], 1))
    if len(sample) > 2:
        raise fault(UNFIT, f"{what} has samples of {len(sample)} axes; a sequence has two, steps and features", "as: grid", part=part,
                    at=("kind", "as"))
    if (side or ("first" if _recording(sample) else "last")) == "first":
        return Layout(Sequence(sample[1], sample[0]), (1, -1))
    return Layout(Sequence(*sample))


def _no_side(side: Side | None, what: str, part: Part | None) -> None:
    if side is not None:
        raise fault(UNFIT, f"`channels: {side}` has no axis to stand for: {what} is read without one", "remove channels", part=part,
                    at=("channels",))
