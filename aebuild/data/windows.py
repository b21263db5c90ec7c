"""Series to cut windows from: a table of one or several, one long one in an array, or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, shown
from aebuild.data.formats.array_files import headers, read_array
from aebuild.data.formats.csv_dialect import ROWS
from aebuild.data.formats.empty_cells import GAPS
from aebuild.data.formats.npy import Member, map_array
from aebuild.data.index_columns import Axis, check_owners, disorder, is_clock, shared, without_time
from aebuild.data.missing import check_missing
from aebuild.data.npz_keys import find_arrays
from aebuild.data.probe import Outline, plural
from aebuild.data.raw_samples import Cut, Raw, Samples
from aebuild.data.rules import NO_SUCH_NAME, UNFIT, WINDOWS
from aebuild.data.split import PARTS, blocks, divide, division_of, windows_in
from aebuild.data.steps import put_in_order
from aebuild.data.table_conditions import asked_places, check_names
from aebuild.data.table_series import TableSeries
from aebuild.data.tables import Sheet, inputs, numbers_only, open_sheet
from aebuild.data.time_axis import no_time
from aebuild.lang.dataset import Column, Dataset, Tabular, Timed, Window
from aebuild.lang.diagnostics import Hint
from aebuild.lang.values import Sequence

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Source:
    """Series before they are cut: their steps, how many there are in each part, and their columns.

    `single` is one long series [1, T, D], whose windows are divided in blocks of time. `read` gives the values of a
    part as [series, T, D], inputs first, then targets; `late` gives what is said of them, `seen` is how many rows were
    looked at before.
    """

    path: Path
    window: Window | None
    steps: int | None
    series: Mapping[str, int]
    single: bool
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    read: Callable[[str], NDArray[Any]]
    note: str = ""
    notes: tuple[str, ...] = ()
    late: Callable[[NDArray[Any]], str | None] | None = None
    seen: int = ROWS

    def outline(self, part: Dataset, steps: int | None) -> Outline:
        """Types and counts for series of so many steps (None: not known before reading)."""
        length = self.window.length if self.window else steps or 0
        if self.window and steps is not None and windows_in(steps, self.window) < 1:
            raise fault(WINDOWS, f"{shown(self.path)} has {plural(steps, 'step')}, too few for a window of {length:,}",
                        Hint("a shorter window"), part=self.window if self.window.place("length") else part, at=("length", "window"))
        counts, divided = self._counts(part, steps)
        cut = f"cut into windows of {self.window.length:,} every {self.window.stride:,}" if self.window else "taken whole"
        sentence = (f"{shown(self.path.name)}: {plural(sum(self.series.values()), 'series')}"
                    + (f" of {steps:,} steps" if steps is not None else "")
                    + f", {plural(len(self.columns), 'column')} as input" + (f", {len(self.targets)} as target" if self.targets else "")
                    + f", {cut}{self.note}")
        return Outline(Sequence(length, len(self.columns)), counts, sentence, divided=divided,
                       target=Sequence(length, len(self.targets)) if self.targets else None, columns=self.columns,
                       target_columns=self.targets or None, notes=self.notes)

    def _counts(self, part: Dataset, steps: int | None) -> tuple[dict[str, int | None], bool]:
        """Windows in each part, and whether they are divided already."""
        if self.window is None:
            return dict(self.series), False
        if self.single:
            return {name: None if steps is None else len(blocks(part, steps, self.window)[name]) for name in PARTS}, True
        each = windows_in(steps or 0, self.window)
        return {name: (count or 0) * each for name, count in divide(part, self.series).items()}, True

    def first(self) -> NDArray[Any]:
        """The training part's series [S, T, D]."""
        return self.read("train")[:, :, :len(self.columns)]

    def load(self, part: Dataset) -> Raw:
        """The windows of each part."""
        values = {name: self.read(name) for name in self.series}
        steps = values["train"].shape[1]
        outline = self.outline(part, steps)
        said = self.late(values["train"]) if self.late is not None else None
        if said is not None and not any(said[:40] in note for note in self.notes):
            outline = outline.told(said)
        places = self._places(part, steps)
        x = {name: self._cut(values[origin], where, slice(None, len(self.columns)), steps) for name, (origin, where) in places.items()}
        aims = {name: self._cut(values[origin], where, slice(len(self.columns), None), steps) for name, (origin, where) in places.items()}
        return Raw(outline, x, target=aims if self.targets else {})

    def _cut(self, values: NDArray[Any], places: list[tuple[int, int]], columns: slice, steps: int) -> Samples:
        return Cut(values[:, :, columns], places, self.window.length if self.window else steps, shown(self.path))

    def _places(self, part: Dataset, steps: int) -> dict[str, tuple[str, list[tuple[int, int]]]]:
        """Series and first step of each part's windows, and where they are."""
        if self.window is None:
            return {name: (name, [(row, 0) for row in range(count)]) for name, count in self.series.items()}
        if self.single:
            return {name: ("train", [(0, start) for start in starts]) for name, starts in blocks(part, steps, self.window).items()}
        starts = range(0, windows_in(steps, self.window) * self.window.stride, self.window.stride)
        return {name: (origin, [(row, start) for row in rows for start in starts]) for name, (origin, rows) in self._rows(part).items()}

    def _rows(self, part: Dataset) -> dict[str, tuple[str, list[int]]]:
        """Which series make up each part: permuted by the seed, then cut."""
        import numpy as np

        counts = divide(part, self.series)
        order = np.random.RandomState(division_of(part).seed).permutation(self.series["train"]).tolist()
        rows, begun = {}, 0
        for name in PARTS:
            size = counts[name] or 0
            if name != "train" and name in self.series:
                rows[name] = (name, list(range(size)))
                continue
            rows[name] = ("train", order[begun:begun + size])
            begun += size
        return rows


@dataclass(frozen=True)
class Chosen:
    """The columns of a table of series that a spec names: inputs and targets, whose series a row is, and what it is.

    `length` are the steps that whole series are padded to.
    """

    columns: Seq[Column] | None
    target: Seq[Column]
    group: Column | None = None
    label: Column | None = None
    length: int | None = None


def table_source(path: Path, window: Window | None, part: Timed, asked: Chosen) -> TableSeries:
    """The series of a table, a step a row: one, or several told apart by the column `group`.

    A first column that is the time or only counts is left out, and one of dates.
    """
    check_missing(part)
    sheet, columns, target = open_sheet(path, part), asked.columns, asked.target
    owner = None if asked.group is None else sheet.find(asked.group, part, "group")
    label = None if asked.label is None else sheet.find(asked.label, part, "label")
    if label is not None and label == owner:
        raise fault(UNFIT, f"the column {sheet.names[label]!r} is `group` and `label` at once", "remove label", part=part, at=("label",))
    sheet, axis = without_time(sheet, part, columns, owner)
    check_names(sheet, part)
    known = [place for place in asked_places(sheet, part).values() if place not in (owner, label)]
    told = [place for place in (owner, label, *known) if place is not None]
    sheet = check_owners(sheet, part, columns, owner, told if axis is None else [*told, axis.place])
    if columns is None:
        sheet = _without_words(sheet, [*sheet.find_all(target, part, "target"), *told])
    chosen, targets, _ = inputs(sheet, part, columns, target, asked.label, [*sheet.left, *told])
    numbers_only(sheet, [*chosen, *targets], part)
    if axis is not None:
        cells = sheet.sample(axis.place)
        owners = [""] * len(cells) if owner is None else sheet.sample(owner)
        sheet = _said(sheet, axis, cells, owners, part, whole=owner is not None and window is None)
    _check_time(part, axis)
    flagged = sheet.find_all(part.indicators or [], part, "indicators")
    if part.missing == "indicator" and part.indicators is None:
        empty = sheet.survey([], chosen)[1]
        flagged = [place for place in chosen if place in empty]
    for place in flagged:
        if place not in chosen:
            raise fault(UNFIT, f"`indicators` names the column {sheet.names[place]!r}, which is no input", part=part, at=("indicators",))
    return TableSeries(sheet, window, tuple(chosen), tuple(targets), owner, axis, part, tuple(sheet.names[place] for place in flagged),
                       label, asked.length)


def _without_words(sheet: Sheet, kept: Seq[int]) -> Sheet:
    """The sheet without columns of words, which are no measurements; says which."""
    for place, name in enumerate(sheet.names):
        if not sheet.numeric[place] and place not in kept and place not in sheet.left:
            empty = all(cell.strip() in GAPS for cell in sheet.sample(place))
            why = "is empty as far as was looked" if empty else "holds words"
            sheet = replace(sheet, left=(*sheet.left, place)).told(f"column {shown(name)} {why}, and is left out")
    return sheet


def _check_time(part: Timed, axis: Axis | None) -> None:
    """Refuses keys about a time that the table does not have."""
    for key in ("every", "clock"):
        if axis is None and getattr(part, key):
            raise no_time(part, key)


def _said(sheet: Sheet, axis: Axis, cells: Seq[str], owners: Seq[str], part: Tabular, *, whole: bool) -> Sheet:
    """The sheet with what is said of its time; whole series are put in its order."""
    if axis.place in sheet.left and sheet.numeric[axis.place] and part.index is None:
        sheet = sheet.told(f"{shown(axis.name)} is taken for the time and left out (`index: false` makes it an input)")
    late = disorder(axis, cells, owners)
    for said in (late if late is None or not whole else put_in_order(axis), shared(axis, cells) if len(set(owners)) == 1 else None):
        sheet = sheet if said is None else sheet.told(said)
    return sheet


def array_source(path: Path, window: Window | None, part: Tabular, columns: Seq[Column] | None, target: Seq[Column]) -> Source:
    """Series in an array: [T] or [T, D] is one, [N, T, D] many; columns are counted from 0."""
    members = headers(path)
    found = find_arrays(members, path, part, None, None, None).x
    first = found["train"]
    if not 1 <= len(first.shape) <= 3 or 0 in first.shape:
        raise fault(UNFIT, f"{first.label(path)} has shape {list(first.shape)}; a series is [T] or [T, D], many are [N, T, D]", part=part,
                    at=("path",))
    single = len(first.shape) < 3
    if single and len(found) > 1:
        raise fault(UNFIT, f"{shown(path)} brings parts of its own, but {first.label(path)} is one series {list(first.shape)}",
                    "an array [N, T, D] for each part", part=part, at=("path",))
    width = first.shape[-1] if len(first.shape) > 1 else 1
    aims = [_column(column, width, path, part, "target") for column in target]
    chosen = [place for place in range(width) if place not in aims] if columns is None else [
        _column(column, width, path, part, "columns") for column in columns]
    if not chosen:
        raise fault(NO_SUCH_NAME, f"{shown(path)} has no column left to be the input", part=part, at=("target",))
    late = partial(_clock, path, chosen) if columns is None and len(chosen) > 1 else None
    said = late(_first_rows(path, first)) if late is not None and not first.name else None
    return Source(path, window, first.shape[0] if single else first.shape[1], {"train": 1} if single else {
        name: member.shape[0] for name, member in found.items()}, single, tuple(map(str, chosen)), tuple(map(str, aims)),
        partial(_array, path, found, [*chosen, *aims]), notes=(said,) if said else (), late=late)


def _first_rows(path: Path, member: Member) -> NDArray[Any]:
    """The first rows of an .npy, as one series [1, rows, D]."""
    import numpy as np

    mapped = map_array(path, member)
    return np.asarray(mapped[:ROWS] if mapped.ndim < 3 else mapped[0, :ROWS])[None]


def _clock(path: Path, chosen: list[int], values: NDArray[Any]) -> str | None:
    """The sentence about a first column that is no measurement; arrays have no names to go by."""
    cells = [repr(cell) for cell in values[0, :ROWS, 0].tolist()]
    if chosen[0] != 0 or not is_clock(Axis(0, "0"), cells, [""] * len(cells)):
        return None
    return (f"{shown(path.name)}: column 0 only counts or is a clock but is an input; "
            + (f"`columns: {chosen[1:]}` leaves it out" if len(chosen) <= 20 else "`columns` can leave it out"))


def _column(column: Column, width: int, path: Path, part: Dataset, option: str) -> int:
    place = int(column) if isinstance(column, int) or column.isdecimal() else -1
    if not 0 <= place < width:
        raise fault(NO_SUCH_NAME, f"{shown(path)} has no column {shown(column)}; its columns are counted from 0 to {width - 1}", part=part,
                    at=(option,))
    return place


def _array(path: Path, members: Mapping[str, Member], places: list[int], part: str) -> NDArray[Any]:
    values = read_array(path, members[part])
    whole = values.reshape(1, len(values), -1) if values.ndim < 3 else values
    picked: NDArray[Any] = whole[:, :, places]
    return picked
