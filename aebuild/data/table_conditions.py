"""Conditions among the columns of a table, and in its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aebuild.data.conditions import LABEL, PERIODS, UNKNOWN, Offered, unknown
from aebuild.data.errors import shown
from aebuild.data.formats.empty_cells import GAPS
from aebuild.data.index_columns import Axis, is_date, is_timestamp
from aebuild.data.labels import ordered
from aebuild.data.tables import Sheet
from aebuild.data.time_axis import MONDAY, Times, read_times
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import DataError, Diagnostic
from aebuild.lang.samples import ConditionInfo, ConditionKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Values = Mapping[str, "NDArray[np.float64] | Sequence[str]"]        # of each condition a number or a word a row
MOST = 1000                                                         # different words of a condition


def of_sheet(sheet: Sheet, part: Dataset, words: Sequence[str] = (), dated: bool = False) -> Offered:
    """What a table offers: its columns, numbers or words, and its time if it is `dated`.

    Columns called in `words` hold categories though they are written as numbers.
    """
    hands = [hand for hand in PERIODS if dated and hand not in sheet.names]
    places = asked_places(sheet, part)
    coded = [place for place in places.values() if not sheet.numeric[place] or sheet.names[place] in words or place in sheet.flags]
    found = dict(zip(coded, sheet.survey(coded, [])[0], strict=True))
    infos = []
    for name in part.asked:
        if name in places:
            infos.append(_column(name, found.get(places[name]), part))
        elif name in hands:
            infos.append(ConditionInfo(name, name))
    return Offered(tuple(infos), (*sheet.names, *hands))


def _column(name: str, words: set[str] | None, part: Dataset) -> ConditionInfo:
    if words is None:
        return ConditionInfo(name, "number")
    known = ordered({word for word in words if word not in GAPS})
    if len(known) > MOST:
        raise DataError(Diagnostic(UNKNOWN, f"{shown(name)} holds {len(known):,} different words, more than the {MOST:,} that can be a "
                                   "condition", part.asked[name]._origin.key, f"remove {shown(name)}", f"condition.{name}"))
    return ConditionInfo(name, "category", known)


def check_names(sheet: Sheet, part: Dataset) -> None:
    """Refuses conditions whose names no table of these columns could have, before anything else is said of the columns."""
    for name in part.asked:
        if name not in sheet.names and name not in (LABEL, *PERIODS):
            raise unknown(part, name, [*sheet.names, *PERIODS])


def asked_places(sheet: Sheet, part: Dataset) -> dict[str, int]:
    """The columns that are asked for as conditions."""
    return {name: sheet.names.index(name) for name in part.asked if sheet.names.count(name) == 1}


def time_of(sheet: Sheet) -> int | None:
    """The first column of dates, or of unix time that is called a time."""
    for place, name in enumerate(sheet.names):
        known = [cell for cell in (cell.strip() for cell in sheet.sample(place)) if cell not in GAPS]
        if known and (is_timestamp(Axis(place, name), known) or (not sheet.numeric[place] and is_date(known))):
            return place
    return None


def mark_of(sheet: Sheet) -> str:
    """The decimal mark of a table's numbers."""
    return sheet.commas.dialect.decimal if sheet.commas is not None else "."


def times_at(sheet: Sheet, place: int | None) -> Times | None:
    """The time of each row; None where there is none, or it is not understood."""
    if place is None:
        return None
    return dated(read_times(Axis(place, sheet.names[place], mark_of(sheet)), sheet.read([], [place])[1][0]))


def tells_time(sheet: Sheet, axis: Axis | None) -> bool:
    """Whether the first cells of a time column are dates."""
    return axis is not None and dated(read_times(axis, sheet.sample(axis.place))) is not None


def dated(times: Times | None) -> Times | None:
    """The times if they tell the hour of a day."""
    return times if times is not None and times.dated else None


def reader(sheet: Sheet, part: Dataset, order: NDArray[np.int64] | None = None, times: Callable[[], Times | None] = lambda: None
           ) -> Callable[[str], Values] | None:
    """Reads the conditions of a table's rows, in an `order` where one is given; columns as words, the time as numbers."""
    if not part.asked:
        return None

    def read(_: str) -> Values:
        places = asked_places(sheet, part)
        texts = sheet.read([], list(places.values()))[1] if places else []
        if order is not None:
            texts = [[held[row] for row in order.tolist()] for held in texts]
        found: dict[str, Any] = dict(zip(places, texts, strict=True))
        hands = [hand for hand in PERIODS if hand in part.asked and hand not in places]
        when = times() if hands else None
        return found if when is None else found | {hand: clock(hand, when.values) for hand in hands}

    return read


def clock(hand: ConditionKind, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The hour of the day, 0 to 24, the weekday, 0 for Monday, or the month, 1 to 12, of seconds since 1970."""
    import numpy as np

    if hand == "hour":
        hours: NDArray[np.float64] = (seconds % 86400) / 3600
        return hours
    if hand == "weekday":
        days: NDArray[np.float64] = np.floor(((seconds - MONDAY) % 604800) / 86400)
        return days
    months: NDArray[np.float64] = (seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64)
    return months
