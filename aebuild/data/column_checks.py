"""What becomes of a column's different values: merged by rounding, or far outside what training saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, shown
from aebuild.data.probe import plural
from aebuild.data.rules import MERGED
from aebuild.lang.diagnostics import DataError, Hint
from aebuild.lang.splits import CHUNK
from aebuild.lang.values import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOOKED_AT = 1 << 20       # values among which different ones are counted
KEPT = 0.9                # of the different values must stay different
EXACT = 2**53             # whole numbers up to here are exact in double precision
MOST = 5                  # columns that a sentence lists


def sample_of(values: NDArray[Any]) -> NDArray[Any]:
    """The first samples [n, ...] of some, as many as are looked at."""
    return values[:max(64, LOOKED_AT // max(1, values[0].size if len(values) else 1))]


def check_doubles(values: NDArray[Any], value: Value, names: Sequence[str] | None, where: str) -> None:
    """Refuses whole numbers [n, ...] so large that double precision merges many of them."""
    import numpy as np

    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not len(values):
        return
    if int(values.max()) <= EXACT and int(values.min()) >= -EXACT:
        return
    columns = _columns(sample_of(values), value)
    for place, (before, after) in enumerate(zip(_different(columns), _different(columns.astype(np.float64)), strict=True)):
        if after < KEPT * before:
            raise beyond_doubles(where, _named(names, place), int(before), int(after))


def beyond_doubles(where: str, column: str, before: int, after: int) -> DataError:
    """The error for whole numbers that double precision merges."""
    return fault(MERGED, f"{where}{column and f', {column}'}: {before:,} different whole numbers beyond 2^53 become {after:,}, because "
                 "64-bit floating point loses their last digits", Hint("subtract a constant from them first, or leave them out (columns)"))


def merging(raw: NDArray[Any], numbers: NDArray[np.float32], value: Value, names: Sequence[str] | None, scale: str) -> tuple[str, ...]:
    """The sentence about columns whose different values [n, ...] became the same numbers; refuses one that lost all difference."""
    import numpy as np

    # in double precision: what it cannot hold was refused before
    before = _different(_columns(raw, value).astype(np.float64))
    after = _different(_columns(numbers, value))
    lost = np.flatnonzero(after < KEPT * before)
    remedy = "scale: standard" if scale in ("none", "integer") else None
    for place in lost[after[lost] == 1]:
        raise fault(MERGED, f"{_named(names, place) or 'the data'}: {plural(int(before[place]), 'different value')} all become the same "
                    f"32-bit number under `scale: {scale}`", remedy)
    if not len(lost):
        return ()
    told = [f"{_named(names, place) or 'all values'} ({before[place]:,} to {after[place]:,})" for place in lost[:MOST]]
    return (f"32-bit numbers merge different values of {_and_more(told, len(lost))}: they differ by too little beside their size; "
            + (f"`{remedy}` keeps them apart" if remedy else "subtract a constant, or look for values that are far too large"),)


def straying(train: NDArray[Any], others: Mapping[str, NDArray[Any]], value: Value, names: Sequence[str] | None) -> tuple[str, ...]:
    """The sentence about values outside the training samples' range by more than the range's width."""
    import numpy as np

    if train.dtype.kind in "bu" and train.dtype.itemsize == 1:
        return ()
    seen = _columns(train, value)
    low, high = seen.min(axis=0).astype(np.float64), seen.max(axis=0).astype(np.float64)
    counts, furthest = np.zeros(len(low), np.int64), np.array(low)
    rows = max(1, CHUNK // len(low))
    with np.errstate(over="ignore", invalid="ignore"):
        width, middle = high - low, low / 2 + high / 2
        for columns in (_columns(values, value) for values in others.values()):
            for start in range(0, len(columns), rows):
                part = columns[start:start + rows].astype(np.float64)
                counts += ((part > high + width) | (part < low - width)).sum(axis=0)
                for extreme in (part.min(axis=0), part.max(axis=0)):
                    furthest = np.where(np.abs(extreme - middle) > np.abs(furthest - middle), extreme, furthest)
    far = np.flatnonzero(counts)
    if not len(far):
        return ()
    told = [f"{_named(names, place) or 'all'} ({plural(int(counts[place]), 'value')}, up to {furthest[place]:g}; training has "
            + (f"{low[place]:g} only)" if width[place] == 0 else f"{low[place]:g} to {high[place]:g})") for place in far[:MOST]]
    return (f"{' and '.join(others)} hold values far outside what training sees, by more than its whole range: "
            f"{_and_more(told, len(far))}; what the model makes of them says little",)


def _columns(values: NDArray[Any], value: Value) -> NDArray[Any]:
    """Values [n, ...] as [rows, columns]; a grid is one column."""
    return values.reshape(-1, values.shape[-1] if value.columns else 1)


def _different(columns: NDArray[Any]) -> NDArray[np.int64]:
    """How many different values each column has."""
    import numpy as np

    ordered = np.sort(columns, axis=0)
    changes: NDArray[np.int64] = (ordered[1:] != ordered[:-1]).sum(axis=0)
    return changes + 1


def _named(names: Sequence[str] | None, place: int) -> str:
    return f"column {shown(names[place])}" if names else ""


def _and_more(told: list[str], count: int) -> str:
    return ", ".join(told) + (f" and {count - len(told)} more" if count > len(told) else "")
