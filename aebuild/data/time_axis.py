"""The time of a table's rows: gaps in it, uneven steps, and means over steps of one length."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aebuild.data.errors import fault, shown
from aebuild.data.index_columns import UNIX, Axis, times_of
from aebuild.data.probe import plural
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import DataError, Hint, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

GAP = 1.5                 # usual steps, beyond which one is a gap
UNEVEN, OFTEN = 0.05, 0.1           # a step that differs by so much from the usual one, and the share of such steps that is told
UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0,
         "week": 604800.0, "ms": 1e-3}
SECONDS = (1.0, 1e-3, 1e-6, 1e-9)   # of a unit of each range of unix time
_EVERY = re.compile(r"(\d+(?:\.\d+)?)? ?([a-z]+)")

NO_TIME = Rule("AE434", "steps of one length where there is no time", """\
`every` averages the rows of each ten minutes, or of whatever is written, and `clock` tells the time of day; both need a column of dates,
or of unix time. A number without a unit is in the units of the time column.

```yaml
data: {path: load.csv, window: {length: 20}, every: 10 min}         # columns: load, temperature
```
```yaml
data: {path: load.csv, window: {length: 20}}
```
""")


@dataclass(frozen=True)
class Times:
    """When each row is, in seconds or whatever the column counts; `dated` in seconds since 1970 of the clock that the column shows."""

    axis: Axis
    cells: Sequence[str]
    values: NDArray[np.float64]
    dated: bool

    def of(self, rows: NDArray[np.int64]) -> Times:
        """The times of these rows, in this order."""
        return Times(self.axis, [self.cells[row] for row in rows.tolist()], self.values[rows], self.dated)


def read_times(axis: Axis, cells: Sequence[str]) -> Times | None:
    """The times of all rows; None where they are not understood."""
    import numpy as np

    found = times_of(axis, cells)
    if found is None:
        return None
    numbers, dated = found
    values = np.asarray(numbers, np.float64)
    fitting = [unit for (low, high), unit in zip(UNIX, SECONDS, strict=True) if len(values) and low < values.min() and values.max() < high]
    unit = fitting[0] if fitting else None
    if not dated and unit is not None:
        return Times(axis, cells, values * unit, True)
    return Times(axis, cells, values, dated)


def usual_step(values: NDArray[np.float64], series: NDArray[np.int64]) -> float | None:
    """The median of the steps forward within each series; None where there are none."""
    import numpy as np

    steps = np.diff(values)[np.diff(series) == 0]
    forward = steps[steps > 0]
    return float(np.median(forward)) if len(forward) else None


def gaps(values: NDArray[np.float64], series: NDArray[np.int64], usual: float) -> NDArray[np.int64]:
    """The rows in front of which a step of the same series is longer than the usual one and a half times."""
    import numpy as np

    found: NDArray[np.int64] = np.flatnonzero((np.diff(values) > GAP * usual) & (np.diff(series) == 0)) + 1
    return found


def told(times: Times, series: NDArray[np.int64], usual: float, found: NDArray[np.int64], how: str) -> str | None:
    """The sentence about gaps, of which `how` says what becomes of them, and uneven steps; None where there are none."""
    import numpy as np

    name = shown(times.axis.name)
    if len(found):
        row = int(found[0])
        return (f"{name} has {plural(len(found), 'gap')}, steps longer than {GAP} times the usual {_span(usual, times)}; the first after "
                f"{shown(times.cells[row - 1])}, up to {shown(times.cells[row])}; {how}")
    steps = np.diff(times.values)[np.diff(series) == 0]
    steps = steps[steps > 0]
    if (np.abs(steps - usual) > UNEVEN * usual).sum() <= OFTEN * len(steps):
        return None
    return (f"the steps of {name} are uneven: {_span(float(steps.min()), times)} to {_span(float(steps.max()), times)}, usually "
            f"{_span(usual, times)}; `every` makes them even")


def _span(length: float, times: Times) -> str:
    """A length of time for people."""
    if not times.dated:
        return f"{length:g}"
    for unit, word in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if length >= unit:
            return f"{length / unit:.4g} {word}"
    return f"{length:.4g} s"


def length_of(every: str | float, times: Times | None, part: Dataset) -> float:
    """The length of a step that the spec asks for, in units of the times; refuses what is none, and data without a time."""
    if times is None:
        raise no_time(part, "every")
    if isinstance(every, int | float):
        return float(every)
    match = _EVERY.fullmatch(every.strip())
    unit = UNITS.get(match[2]) or UNITS.get(match[2].removesuffix("s")) if match else None
    if match is None or unit is None or float(match[1] or 1) == 0:
        raise fault(NO_TIME, f"`every: {shown(every)}` is no length of time", "every: 10 min", part=part, at=("every",))
    if not times.dated:
        raise fault(NO_TIME, f"{shown(times.axis.name)} holds numbers without a unit, so that `every: {shown(every)}` has no meaning",
                    Hint("a number in the units of the column, like every: 10"), part=part, at=("every",))
    return float(match[1] or 1) * unit


def no_time(part: Dataset, key: str) -> DataError:
    """The error for a key about time where the table has none."""
    return fault(NO_TIME, f"`{key}` needs a column of times, and none was found that is understood", f"remove {key}", part=part, at=(key,))


@dataclass(frozen=True)
class Bins:
    """Rows within steps of one length: in which `order` they follow each other, where each step has `begun` there, and its time.

    A step begins at a whole multiple of the length. Steps without a row are left out.
    """

    order: NDArray[np.int64]
    begun: NDArray[np.int64]
    series: NDArray[np.int64]
    starts: NDArray[np.float64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The first row of each step."""
        return self.order[self.begun]

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means [steps, C] of values [rows, C]; what is not known does not count."""
        import numpy as np

        held = values[self.order]
        known = ~np.isnan(held)
        count = np.add.reduceat(known.astype(np.float64), self.begun)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: NDArray[np.float64] = np.add.reduceat(np.where(known, held, 0.0), self.begun) / count
        return found

    def times(self, times: Times) -> Times:
        """When each step begins."""
        return replace(times.of(self.rows), values=self.starts)


def bins_of(series: NDArray[np.int64], times: Times, length: float) -> Bins:
    """The rows of each series within steps of so long."""
    import numpy as np

    numbers = np.floor(times.values / length).astype(np.int64)
    order = np.lexsort((times.values, numbers, series))
    series, numbers = series[order], numbers[order]
    begun = np.flatnonzero(np.concatenate([[True], (np.diff(series) != 0) | (np.diff(numbers) != 0)]))
    return Bins(order.astype(np.int64), begun, series[begun], numbers[begun].astype(np.float64) * length)


CLOCK = {"day": 86400.0, "week": 604800.0}
MONDAY = 4 * 86400.0      # the first Monday of 1970


def clock_features(times: Times | None, hands: Sequence[str], part: Dataset) -> NDArray[np.float64]:
    """Sine and cosine of the time of day and of the week, [rows, 2 each]."""
    import numpy as np

    if times is None or not times.dated:
        raise no_time(part, "clock")
    # rounded: the last bits of a sine differ from day to day, and would be taken for a difference of the data
    turns = [2 * np.pi * ((times.values - MONDAY) % CLOCK[hand]) / CLOCK[hand] for hand in hands]
    return np.stack([np.round(wave(turn), 6) for turn in turns for wave in (np.sin, np.cos)], axis=1)


def clock_names(hands: Sequence[str]) -> tuple[str, ...]:
    """What these features are called."""
    return tuple(f"{wave} of {hand}" for hand in hands for wave in ("sine", "cosine"))
