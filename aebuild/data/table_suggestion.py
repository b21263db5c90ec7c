"""Which columns of a table are labels, times and names of series, and what empty cells become, as its rows tell."""

from __future__ import annotations

from collections.abc import Sequence

from aebuild.data.errors import listed, shown
from aebuild.data.index_columns import CLOCKS, goes_on, is_date, without_time
from aebuild.data.tables import Sheet, is_identifier, row_numbers
from aebuild.lang.dataset import Tabular
from aebuild.lang.suggestion import Suggestion

LABELS = ("label", "labels", "class", "target", "y", "species", "diagnosis", "anomaly", "is_anomaly", "outlier", "category", "outcome")
MOST_CLASSES = 50


def suggest_columns(sheet: Sheet, part: Tabular) -> Suggestion:
    """`type: series` with its `group` for a table over time, else the label, an index to leave out, and what empty cells become."""
    for owner in (None, *(place for place in range(len(sheet.names)) if not sheet.numeric[place] and few(sheet.sample(place)))):
        timed, axis = without_time(sheet, part, None, owner)
        owners = None if owner is None else sheet.sample(owner)
        if axis is not None and _is_time(timed, axis.place) and goes_on(axis, sheet.sample(axis.place), owners):
            return _series(timed, axis.place)
    axis = without_time(sheet, part, None, None)[1]
    keys, reasons = Suggestion().keys, Suggestion().reasons
    if axis is not None and axis.place == 0 and sheet.numeric[0] and axis.place not in row_numbers(sheet, part, None).left \
            and not is_identifier(axis.name, sheet.sample(axis.place)):
        keys["index"], reasons["index"] = True, f"the first column, {shown(axis.name)}, only counts the rows"
    label = _label(sheet)
    if label is not None:
        keys["label"], reasons["label"] = sheet.names[label], "called a label: it is no input, and a head or a score can use it"
    return Suggestion(keys, reasons).joined(_missing(sheet, [] if label is None else [label], words=True))


def _is_time(sheet: Sheet, place: int) -> bool:
    """True for dates, and numbers that are called a time; what only counts may be an id of rows in any order."""
    if not sheet.numeric[place]:
        return is_date(sheet.sample(place))
    return sheet.names[place].strip().lower() in [name for name in CLOCKS if name != "index"]


def _series(sheet: Sheet, time: int) -> Suggestion:
    """The table as series over its time."""
    reasons = {"type": f"the column {shown(sheet.names[time])} is a time, so the rows are steps of a series, and a sample is a window of "
                       "them"}
    keys: dict[str, object] = {"type": "series"}
    owners = [place for place in range(len(sheet.names)) if place != time and not sheet.numeric[place] and few(sheet.sample(place))]
    if owners and len(set(sheet.sample(time))) < len(sheet.sample(time)):
        keys["group"] = sheet.names[owners[0]]
        reasons["group"] = "the same times come again for each of its values: it tells several series apart"
    taken = {time, *([owners[0]] if "group" in keys else [])}
    words = [sheet.names[place] for place in range(len(sheet.names)) if place not in taken and not sheet.numeric[place]]
    flags = [sheet.names[place] for place in range(len(sheet.names)) if place not in taken and sheet.names[place].lower() in LABELS]
    if words or flags:
        keys["columns"] = [sheet.names[place] for place in range(len(sheet.names))
                           if place not in taken and sheet.numeric[place] and sheet.names[place] not in flags]
        reasons["columns"] = f"the measurements; {listed([*words, *flags])} {'is' if len(words + flags) == 1 else 'are'} left out"
    return Suggestion(keys, reasons).joined(_missing(sheet, [time], words=False))


def _label(sheet: Sheet) -> int | None:
    """The column of classes: one of few values that is called so."""
    return next((place for place, name in enumerate(sheet.names) if name.strip().lower() in LABELS and few(sheet.sample(place))), None)


def _missing(sheet: Sheet, but: Sequence[int], *, words: bool) -> Suggestion:
    """What becomes of empty cells, where there are some among the numbers, or the words that become categories."""
    looked = [place for place, numeric in enumerate(sheet.numeric)
              if place not in but and (numeric or (words and few(sheet.sample(place))))]
    empty = sheet.survey([], looked)[1]
    if not empty:
        return Suggestion()
    names = listed(sheet.names[place] for place in sorted(empty))
    why = (f"{names} {'has' if len(empty) == 1 else 'have'} empty cells: the encoder sees the mean instead, and the loss leaves them "
           "out, so that the model fills them in")
    return Suggestion({"missing": "mask"}, {"missing": why})


def few(cells: Sequence[str]) -> bool:
    """True for cells of few different values, each of which comes again and again."""
    kinds = len({cell.strip() for cell in cells})
    return 1 < kinds <= min(MOST_CLASSES, len(cells) // 3)
