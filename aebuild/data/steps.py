"""The rows of a table as the steps of its series: in their order, at even times where the spec asks for that, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from aebuild.data.errors import shown
from aebuild.data.index_columns import Axis, disorder
from aebuild.data.labels import classify
from aebuild.data.probe import plural
from aebuild.data.tables import Sheet
from aebuild.data.time_axis import Bins, Times, bins_of, gaps, length_of, read_times, told, usual_step
from aebuild.lang.dataset import Timed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Runs = list[tuple[int, int]]
CROSSED = "windows cross them, as `gaps: ignore` says"
SPLIT = "no window crosses one (`gaps: ignore` lets them)"
WHOLE = "a whole series goes on behind them"


@dataclass(frozen=True)
class Places:
    """Which columns of a table are what: numbers, whose series it is, the time, and what says of each step what it is."""

    numbers: tuple[int, ...]
    group: int | None
    axis: Axis | None
    label: int | None = None


@dataclass(frozen=True)
class Steps:
    """The rows of a table as steps, series by series: values [T, C], whose series it is, which row it was, and the time.

    `labels` say in words what each step is, "" where that is not known. `notes` tell what was done about the time.
    """

    values: NDArray[np.float64]
    series: NDArray[np.int64]
    rows: NDArray[np.int64]
    owners: list[str]
    times: Times | None
    breaks: NDArray[np.int64]
    labels: list[str] | None = None
    notes: tuple[str, ...] = ()

    def runs(self) -> list[Runs]:
        """The stretches of each series without a gap, as first step and end, counted within the series."""
        begun, sizes = self.borders()
        found = []
        for start, size in zip(begun.tolist(), sizes.tolist(), strict=True):
            cuts = [0, *(self.breaks[(self.breaks > start) & (self.breaks < start + size)] - start).tolist(), size]
            found.append(list(pairwise(cuts)))
        return found

    def borders(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first step of each series, and how many it has."""
        import numpy as np

        begun = np.flatnonzero(np.diff(self.series, prepend=-1)).astype(np.int64)
        return begun, np.diff(begun, append=len(self.series))


def read_steps(sheet: Sheet, places: Places, part: Timed, *, whole: bool = False) -> Steps:
    """All rows as steps, in the order of the series; within whole ones in the order of the time, if there is one."""
    import numpy as np

    axis = places.axis
    wanted = [place for place in (places.group, None if axis is None else axis.place, places.label) if place is not None]
    values, texts = sheet.read(places.numbers, wanted, part.missing != "error")
    words = dict(zip(wanted, texts, strict=True))
    owners = words[places.group] if places.group is not None else [""] * len(values)
    numbers = {owner: place for place, owner in enumerate(dict.fromkeys(owners))}
    series = np.asarray([numbers[owner] for owner in owners], np.int64)
    times = read_times(axis, words[axis.place]) if axis is not None else None
    codes, names = (None, ()) if places.label is None else _labels(sheet, places.label, words[places.label])
    if part.every is not None:
        return _even(Steps(values, series, series, list(numbers), times, series[:0]), codes, names, part, whole=whole)
    late = disorder(axis, words[axis.place], owners) if axis is not None else None
    rows = np.argsort(series, kind="stable") if times is None or not whole else np.lexsort((times.values, series))
    values, series, times = values[rows], series[rows], None if times is None else times.of(rows)
    usual = None if times is None else usual_step(times.values, series)
    found = series[:0] if times is None or usual is None else gaps(times.values, series, usual)
    notes = [] if late is None or axis is None else [late if not whole else put_in_order(axis)]
    how = WHOLE if whole else CROSSED if part.gaps == "ignore" else SPLIT
    if times is not None and usual is not None and (said := told(times, series, usual, found, how)) is not None:
        notes.append(said)
    labels = None if codes is None else _words(codes[rows], names)
    return Steps(values, series, rows, list(numbers), times, series[:0] if part.gaps == "ignore" else found, labels, tuple(notes))


def put_in_order(axis: Axis) -> str:
    """What is said of rows that are not in the order of their time, where they are sorted."""
    return f"the rows of each series are put in the order of {shown(axis.name)}"


def _even(read: Steps, codes: NDArray[np.int64] | None, names: tuple[str, ...], part: Timed, *, whole: bool) -> Steps:
    """Rows averaged over steps of one length; a step is called what the rarest label of its rows is."""
    assert part.every is not None
    length = length_of(part.every, read.times, part)
    assert read.times is not None
    bins = bins_of(read.series, read.times, length)
    means, at = bins.means(read.values), bins.times(read.times)
    found = gaps(at.values, bins.series, length)
    how = WHOLE if whole else CROSSED if part.gaps == "ignore" else SPLIT
    said = told(at, bins.series, length, found, how)
    notes = (f"{plural(len(read.values), 'row')} averaged to {plural(len(means), 'step')} of {part.every}", *([said] if said else []))
    labels = None if codes is None else _words(_rarest(codes, bins), names)
    return Steps(means, bins.series, bins.rows, read.owners, at, found[:0] if part.gaps == "ignore" else found, labels, notes)


def _labels(sheet: Sheet, place: int, words: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Label numbers of the rows, and what they mean; refuses measurements."""
    codes, names = classify({"train": words}, f"{shown(sheet.path)}, column {shown(sheet.names[place])}")
    return codes["train"], names


def _words(codes: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    known = (*names, "")
    return [known[code] for code in codes.tolist()]


def _rarest(codes: NDArray[np.int64], bins: Bins) -> NDArray[np.int64]:
    """Of each step the label that is the rarest in the whole table, of those that its rows have: what is unusual is not averaged away."""
    import numpy as np

    often = np.bincount(codes[codes >= 0])
    order = np.argsort(often, kind="stable")                     # from rare to frequent
    rank = np.empty(len(often) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(often)), len(often)    # the last is that of an unknown label, -1
    found = np.minimum.reduceat(rank[codes][bins.order], bins.begun)
    return np.append(order, -1)[found]
