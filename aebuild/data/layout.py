"""What an array's axes mean: vectors, sequences or grids, features first or last."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from aebuild.data.faults import fault
from aebuild.data.rules import UNFIT
from aebuild.lang.emit import emit
from aebuild.lang.part import Part
from aebuild.lang.values import Grid, Sequence, Value, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["vector", "sequence", "grid"]
Side = Literal["first", "last"]
COLOURS = (1, 3, 4)


@dataclass(frozen=True)
class Layout:
    """How stored samples become the type: `move` is the axis that goes to the front or the back, None leaves the axes."""

    value: Value
    move: tuple[int, int] | None = None

    def arrange(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Samples [n, ...] as they are stored, as [n, *value.shape]."""
        import numpy as np

        turned = stored if self.move is None else np.moveaxis(stored, *self.move)
        return np.ascontiguousarray(turned).reshape(len(stored), *self.value.shape)


def usual_kind(shape: tuple[int, ...], dtype: str) -> Kind:
    """What axes and type suggest.

    [N, D] are vectors, [N, T, D] sequences unless they are bytes, then grey images; more axes are grids.
    """
    if len(shape) <= 2:
        return "vector"
    return "sequence" if len(shape) == 3 and dtype not in ("uint8", "bool") else "grid"


def interpret(shape: tuple[int, ...], dtype: str, what: str, kind: Kind | None = None, side: Side | None = None,
              part: Part | None = None) -> Layout:
    """The layout of an array [N, ...]; `kind` and `side` overrule what its rank and type suggest."""
    sample = shape[1:]
    if not 1 <= len(sample) <= 4 or 0 in sample:
        raise fault(UNFIT, f"{what} has shape {list(shape)}; samples stand on the first axis and have one to four more, none of them 0"
                    + ("; one long series needs a `window`" if not sample else ""), _as_series(shape, part))
    kind = kind or usual_kind(shape, dtype)
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


def _as_series(shape: tuple[int, ...], part: Part | None) -> str | None:
    """The `data` that cuts one long series into windows."""
    window = windows_for(shape[0]) if len(shape) == 1 else None
    path = getattr(part, "path", None)
    return emit({"data": {"path": path, "window": window}}).strip() if window and path else None


def likely_side(sample: tuple[int, ...]) -> Side:
    """Where the channels of a grid stand: last if that axis has 1, 3 or 4 values and the first has not, or is the longer one."""
    first, last = sample[0], sample[-1]
    return "last" if last in COLOURS and (first not in COLOURS or first > last) else "first"


def _sequence(sample: tuple[int, ...], what: str, side: Side | None, part: Part | None) -> Layout:
    if len(sample) == 1:
        _no_side(side, what, part)
        return Layout(Sequence(sample[0], 1))
    if len(sample) > 2:
        raise fault(UNFIT, f"{what} has samples of {len(sample)} axes; a sequence has two, steps and features", "as: grid", part=part,
                    at=("kind", "as"))
    if side == "first":
        return Layout(Sequence(sample[1], sample[0]), (1, -1))
    return Layout(Sequence(*sample))


def _no_side(side: Side | None, what: str, part: Part | None) -> None:
    if side is not None:
        raise fault(UNFIT, f"`channels: {side}` has no axis to stand for: {what} is read without one", "remove channels", part=part,
                    at=("channels",))
