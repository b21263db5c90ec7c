"""The columns of a series that are no measurements: its time or row number, and whose series it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from statistics import median

from aebuild.data.errors import fault, shown
from aebuild.data.formats.csv_dialect import number
from aebuild.data.rules import SEVERAL
from aebuild.data.tables import Sheet, quoted
from aebuild.lang.dataset import Column, Tabular

CLOCKS = ("time", "timestamp", "date", "datetime", "date_time", "epoch", "unix", "unixtime", "unix_time", "index", "step")
UNIX = ((3e8, 4e9), (3e11, 4e12), (3e14, 4e15), (3e17, 4e18))         # 1980 to 2090 in s, ms, µs and ns
EPOCH = datetime(1970, 1, 1)
_GERMAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|\d{1,2}:\d{2}(:\d{2}.*)?")


@dataclass(frozen=True)
class Axis:
    """The column of a table that is its time; `mark` is its decimal mark."""

    place: int
    name: str
    mark: str = "."


def without_time(sheet: Sheet, part: Tabular, columns: Sequence[Column] | None, group: int | None) -> tuple[Sheet, Axis | None]:
    """The sheet without its first column where that is a time or only counts, and without dates further on; and which is the time."""
    found, axis = _first_time(sheet, part, columns, group)
    if part.index is not None or (axis is not None and not sheet.numeric[axis.place]):
        return found, axis
    for place, name in enumerate(sheet.names):
        dates = Axis(place, name, _mark(sheet))
        if place == group or not _is_time(sheet, dates, group):
            continue
        return (replace(found, left=(*found.left, *({place} - {*found.left}))) if columns is None else found), dates
    return found, axis


def _is_time(sheet: Sheet, axis: Axis, group: int | None) -> bool:
    """True for dates, for unix time, and for numbers that are called a time and go on in every series."""
    cells = sheet.sample(axis.place)
    if not sheet.numeric[axis.place]:
        return is_date(cells)
    owners = sheet.sample(group) if group is not None else [""] * len(cells)
    called = axis.name.strip().lower() in CLOCKS[:-2] and is_clock(axis, cells, owners) and disorder(axis, cells, owners) is None
    return is_timestamp(axis, cells) or called


def _first_time(sheet: Sheet, part: Tabular, columns: Sequence[Column] | None, group: int | None) -> tuple[Sheet, Axis | None]:
    """The sheet without its first column where that is a time or only counts, and that column."""
    others = [place for place in range(len(sheet.names)) if place != group]
    if len(others) < 2:
        return sheet, None
    first = others[0]
    axis = Axis(first, sheet.names[first], _mark(sheet))
    if part.index is not None:
        return (replace(sheet, left=(first,)), axis) if part.index else (sheet, None)
    cells = sheet.sample(first)
    owners = sheet.sample(group) if group is not None else [""] * len(cells)
    if not sheet.numeric[first]:
        if _repeats(cells):
            return sheet, None
    elif not is_clock(axis, cells, owners):
        return sheet, None
    return (replace(sheet, left=(first,)), axis) if columns is None else (sheet, axis)


def check_owners(sheet: Sheet, part: Tabular, columns: Sequence[Column] | None, group: int | None, known: Collection[int]) -> Sheet:
    """Asks for `group` where words that repeat stand beside the numbers, in columns not yet `known`: they tell several series apart."""
    if group is not None:
        return sheet
    for place, name in enumerate(sheet.names):
        if place in known:
            continue
        if not sheet.numeric[place] and _repeats(sheet.sample(place)):
            why = f"the words in column {shown(name)} repeat"
        elif place == 0 and sheet.numeric[0] and (clock := _begins_again(sheet)):
            why = f"{shown(clock)} begins again where column {shown(name)} changes"
        else:
            continue
        if columns is None:
            raise fault(SEVERAL, f"{shown(sheet.path.name)}: {why}, so that the table seems to hold several series",
                        f"group: {quoted(name)}", part=part, at=("path",))
        sheet = sheet.told(f"{why}; if it tells several series apart, `group: {shown(name)}` keeps windows from crossing from one to "
                           "another")
    return sheet


def _begins_again(sheet: Sheet) -> str | None:
    """The name of the second column if it is a time for each number in the first, and not for the whole table."""
    if len(sheet.names) < 3 or not sheet.numeric[1]:
        return None
    owners, cells = sheet.sample(0), sheet.sample(1)
    axis = Axis(1, sheet.names[1], _mark(sheet))
    whole = all(owner.strip().isdecimal() for owner in owners) and 2 * len(set(owners)) <= len(owners)
    return axis.name if whole and is_clock(axis, cells, owners) and disorder(axis, cells, [""] * len(cells)) and not disorder(
        axis, cells, owners) else None


def _mark(sheet: Sheet) -> str:
    return sheet.commas.dialect.decimal if sheet.commas is not None else "."


def shared(axis: Axis, cells: Sequence[str]) -> str | None:
    """The sentence about rows of the same time, as of several series in one table."""
    if 2 * len(set(cells)) > len(cells):
        return None
    return (f"several rows have the same {shown(axis.name)}; if the table holds several series, name the column that tells them apart "
            "under `group`")


def disorder(axis: Axis, cells: Sequence[str], owners: Sequence[str]) -> str | None:
    """The sentence about rows that come after later ones of the same series; None where the time is not understood."""
    times = _times(axis, cells)
    if times is None:
        return None
    last: dict[str, float] = {}
    back = []
    for row, (time, owner) in enumerate(zip(times, owners, strict=True)):
        if time < last.get(owner, time):
            back.append(row)
        last[owner] = time
    if not back:
        return None
    often = "once, at" if len(back) == 1 else f"{len(back):,} times, first at"
    return (f"rows are not in the order of {shown(axis.name)}: it goes back {often} row {back[0]:,} ({shown(cells[back[0]])}); sort them"
            + ("" if len(set(owners)) > 1 else ", or name the column that tells several series apart under `group`"))


def times_of(axis: Axis, cells: Sequence[str]) -> tuple[list[float], bool] | None:
    """Times as numbers, and whether they are dates, in seconds since 1970; None if one is neither number nor date."""
    if not cells or number(cells[0], axis.mark) is not None:
        numbers = [number(cell, axis.mark) for cell in cells]
        known = [value for value in numbers if value is not None]
        return (known, False) if len(known) == len(numbers) else None
    try:
        moments = [datetime.fromisoformat(_iso(cell.strip())) for cell in cells]
    except ValueError:
        return None
    zoned = moments[0].tzinfo is not None
    if any((moment.tzinfo is None) == zoned for moment in moments):
        return None
    return [moment.timestamp() if zoned else (moment - EPOCH).total_seconds() for moment in moments], True


def _iso(cell: str) -> str:
    """A date as ISO writes it: 31.12.2024 and 2024/12/31 are understood too, 12/31/2024 may be either."""
    if found := _GERMAN.match(cell):
        return f"{found[3]}-{found[2]:0>2}-{found[1]:0>2}{cell[found.end():]}"
    return cell.replace("/", "-") if cell[4:5] == "/" else cell


def _times(axis: Axis, cells: Sequence[str]) -> list[float] | None:
    """Times as numbers; None if one is none."""
    found = times_of(axis, cells)
    return None if found is None else found[0]


def _repeats(cells: Sequence[str]) -> bool:
    """True for words that name few things and are no dates."""
    words = [cell.strip() for cell in cells]
    return len(words) > 1 and 2 * len(set(words)) <= len(words) and not all(_DATE.fullmatch(word) for word in words)


def is_date(cells: Sequence[str]) -> bool:
    """True for words that are all dates or times of day."""
    return bool(cells) and all(_DATE.fullmatch(cell.strip()) for cell in cells)


def is_timestamp(axis: Axis, cells: Sequence[str]) -> bool:
    """True for numbers that are unix time and are called a time."""
    times = [number(cell, axis.mark) for cell in cells]
    known = [time for time in times if time is not None]
    called = axis.name.strip().lower().replace(" ", "_").split("_")
    return len(known) == len(times) > 0 and not {"time", "timestamp", "date", "datetime", "epoch", "unix", "ts"}.isdisjoint(called) and any(
        low < min(known) and max(known) < high for low, high in UNIX)


def goes_on(axis: Axis, cells: Sequence[str], owners: Sequence[str] | None = None) -> bool:
    """True where times go on from row to row, back once in a hundred at most, within each series; dates of things stand in any order."""
    times = _times(axis, cells)
    if times is None:
        return True
    last: dict[str, float] = {}
    back = 0
    for time, owner in zip(times, owners or [""] * len(times), strict=True):
        back += time < last.get(owner, time)
        last[owner] = time
    return 100 * back <= len(times)


def is_clock(axis: Axis, cells: Sequence[str], owners: Sequence[str]) -> bool:
    """True for numbers that are called a time, are one, or go on by the same step in every series."""
    times = _times(axis, cells)
    if times is None:
        return False
    if axis.name.strip().lower() in CLOCKS:
        return True
    each: dict[str, list[float]] = {}
    for time, owner in zip(times, owners, strict=True):
        each.setdefault(owner, []).append(time)
    steps = [after - before for held in each.values() for before, after in pairwise(held)]
    if len(steps) < 2 or max(steps) <= 0:
        return False
    if any(low < min(times) and max(times) < high for low, high in UNIX):
        return 4 * sum(step < 0 for step in steps) < len(steps)
    return min(steps) > 0 and max(steps) - min(steps) < 1e-3 * median(steps)
