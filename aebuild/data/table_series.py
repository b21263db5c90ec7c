"""The series of a table, a step a row: one, or several told apart by a column; no window crosses from one to another, or a gap."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from aebuild.data.beside import Beside, beside
from aebuild.data.errors import fault, shown
from aebuild.data.index_columns import Axis, disorder
from aebuild.data.one_hot import expand
from aebuild.data.probe import Outline, plural
from aebuild.data.raw_samples import Cut, Raw
from aebuild.data.rules import WINDOWS
from aebuild.data.split import PARTS, blocks, divide, division_of, windows_in, windows_of_run
from aebuild.data.tables import Sheet
from aebuild.data.time_axis import Times, binned, clock_features, clock_names, gaps, length_of, read_times, told, usual_step
from aebuild.lang.columns import Field
from aebuild.lang.dataset import Dataset, Timed, Window
from aebuild.lang.diagnostics import DataError, Hint
from aebuild.lang.values import Sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANY = 10         # so many series are divided among themselves, fewer in blocks of time each
Runs = list[tuple[int, int]]


@dataclass(frozen=True)
class Steps:
    """The rows of a table as steps, series by series: values [T, C], whose series it is, which row it was, and the time.

    `notes` tell what was done about the time.
    """

    values: NDArray[np.float64]
    series: NDArray[np.int64]
    rows: NDArray[np.int64]
    owners: list[str]
    times: Times | None
    breaks: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def runs(self) -> list[Runs]:
        """The stretches of each series without a gap, as first step and end, counted within the series."""
        import numpy as np

        begun = np.flatnonzero(np.diff(self.series, prepend=-1))
        ends = [*begun[1:].tolist(), len(self.series)]
        found = []
        for start, end in zip(begun.tolist(), ends, strict=True):
            cuts = [0, *(self.breaks[(self.breaks > start) & (self.breaks < end)] - start).tolist(), end - start]
            found.append(list(pairwise(cuts)))
        return found


@dataclass(frozen=True)
class TableSeries:
    """The columns of such a table: inputs, targets, whose series it is, and the time if there is one.

    `flagged` are the inputs whose empty cells get a flag.
    """

    sheet: Sheet
    window: Window | None
    inputs: tuple[int, ...]
    aims: tuple[int, ...]
    group: int | None
    axis: Axis | None
    part: Timed
    flagged: tuple[str, ...] = ()

    single = True

    @property
    def steps(self) -> int | None:
        """The steps of a single series, where the table's head tells how many there will be."""
        return self.sheet.rows if self.group is None and self.part.every is None else None

    @property
    def seen(self) -> int:
        """Rows that were looked at."""
        return len(self.sheet.sample(self.inputs[0]))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The features of a step by column; empty where all are plain numbers."""
        if not self.flagged:
            return ()
        names = [*(self.sheet.names[place] for place in self.inputs), *clock_names(self.part.hands)]
        return (*(Field(name, "number", place) for place, name in enumerate(names)),
                *(Field(name, "missing", len(names) + place) for place, name in enumerate(self.flagged)))

    @property
    def targets(self) -> tuple[int, ...]:
        """What is reconstructed where it is not the input: with a clock among the inputs, the columns without it."""
        return self.aims or (self.inputs if self.part.hands else ())

    def outline(self, part: Dataset, steps: int | None) -> Outline:
        """Types; counts are known only when the table was read, but for one series without a time."""
        window, names = self.window, self.sheet.names
        if window and steps is not None and windows_in(steps, window) < 1:
            raise fault(WINDOWS, f"{shown(self.sheet.path)} has {plural(steps, 'step')}, too few for a window of {window.length:,}",
                        Hint("a shorter window"), part=window if window.place("length") else part, at=("length", "window"))
        counts: dict[str, int | None] = dict.fromkeys(PARTS)
        if window and steps is not None and self.group is None and (self.axis is None or self.part.gaps == "ignore"):
            counts = {name: len(starts) for name, starts in blocks(part, steps, window).items()}
        length, inputs = window.length if window else 0, [names[place] for place in self.inputs]
        return Outline(Sequence(length, len(inputs) + 2 * len(self.part.hands) + len(self.flagged)), counts, self._sentence(steps),
                       divided=True, target=Sequence(length, len(self.targets)) if self.targets else None,
                       columns=(*inputs, *clock_names(self.part.hands)),
                       target_columns=tuple(names[place] for place in self.targets) or None, notes=self.sheet.notes, fields=self.fields)

    def _sentence(self, steps: int | None) -> str:
        names = self.sheet.names
        which = (f"1 series{f' of {steps:,} steps' if steps is not None else ''}" if self.group is None
                 else f"series told apart by {shown(names[self.group])}")
        return (f"{shown(self.sheet.path.name)}: {which}, {plural(len(self.inputs), 'column')} as input"
                + (f", {len(self.aims)} as target" if self.aims else "")
                + (f", cut into windows of {self.window.length:,} every {self.window.stride:,}" if self.window else "")
                + (f"; left out as the time: {shown(self.axis.name)}" if self.axis and self.axis.place in self.sheet.left else ""))

    def first(self) -> NDArray[np.float64]:
        """The longest of the series between two gaps, [1, T, D], without rows that have empty cells."""
        import numpy as np

        steps = self._steps()
        begun = np.flatnonzero(np.diff(steps.series, prepend=-1)).tolist()
        start, end = max(((first + start, first + end) for first, runs in zip(begun, steps.runs(), strict=True) for start, end in runs),
                         key=lambda run: run[1] - run[0])
        values = steps.values[start:end, :len(self.inputs)]
        return values[np.isfinite(values).all(axis=1)][None]

    def load(self, part: Dataset) -> Raw:
        """The windows of each part."""
        import numpy as np

        steps = self._steps()
        starts, how = self._starts(part, steps)
        outline = self.outline(part, len(steps.values) if self.group is None else None)
        for note in (*steps.notes, *([how] if how else [])):
            if not any(note[:40] in other for other in outline.notes):
                outline = outline.told(f"{shown(self.sheet.path.name)}: {note}")
        outline = replace(outline, counts={name: len(held) for name, held in starts.items()})
        width, length = len(self.inputs), self.window.length if self.window else 0
        clock = clock_features(steps.times, self.part.hands, part) if self.part.hands else np.empty((len(steps.values), 0))
        x = np.concatenate([steps.values[:, :width], clock], axis=1)
        x = expand(x, self.fields) if self.fields else x
        aims = steps.values[:, width:] if self.aims else steps.values[:, :width]
        word = "row" if self.group is None else f"row (ordered by {shown(self.sheet.names[self.group])})"
        word = word if self.part.every is None else "step"

        def cut(values: NDArray[np.float64]) -> dict[str, Cut]:
            return {name: Cut(values[None], [(0, start) for start in held], length, shown(self.sheet.path), word)
                    for name, held in starts.items()}

        return Raw(outline, cut(x), target=cut(aims) if self.targets else {}, beside=self._beside(steps))

    def _steps(self) -> Steps:
        """All rows as steps, in the order of the series, and at even times where the spec asks for that."""
        import numpy as np

        words = [*([] if self.group is None else [self.group]), *([self.axis.place] if self.axis else [])]
        values, texts = self.sheet.read([*self.inputs, *self.aims], words, self.part.missing != "error")
        owners = texts[0] if self.group is not None else [""] * len(values)
        numbers = {owner: place for place, owner in enumerate(dict.fromkeys(owners))}
        series = np.asarray([numbers[owner] for owner in owners], np.int64)
        late = disorder(self.axis, texts[-1], owners) if self.axis else None
        times = read_times(self.axis, texts[-1]) if self.axis else None
        if self.part.every is not None:
            return self._even(values, series, list(numbers), times)
        rows = np.argsort(series, kind="stable")
        values, series, times = values[rows], series[rows], None if times is None else times.of(rows)
        usual = None if times is None else usual_step(times.values, series)
        none = np.empty(0, np.int64)
        found = none if times is None or usual is None else gaps(times.values, series, usual)
        notes = [] if late is None else [late]
        crossed = self.part.gaps == "ignore"
        if times is not None and usual is not None and (said := told(times, series, usual, found, crossed)) is not None:
            notes.append(said)
        return Steps(values, series, rows, list(numbers), times, none if crossed else found, tuple(notes))

    def _even(self, values: NDArray[np.float64], series: NDArray[np.int64], owners: list[str], times: Times | None) -> Steps:
        assert self.part.every is not None
        length = length_of(self.part.every, times, self.part)
        assert times is not None
        means, owned, rows, begun = binned(values, series, times, length)
        at = replace(times.of(rows), values=begun)
        found = gaps(begun, owned, length)
        said = told(at, owned, length, found, self.part.gaps == "ignore")
        notes = [f"{plural(len(values), 'row')} averaged to {plural(len(means), 'step')} of {self.part.every}", *([said] if said else [])]
        return Steps(means, owned, rows, owners, at, found[:0] if self.part.gaps == "ignore" else found, tuple(notes))

    def _beside(self, steps: Steps) -> Beside:
        return beside(self.sheet, {*self.inputs, *self.aims}, steps.rows, (self.group, self.axis.place if self.axis else None))

    def _starts(self, part: Dataset, steps: Steps) -> tuple[dict[str, list[int]], str]:
        """The first steps of each part's windows, and how several series were divided."""
        assert self.window is not None
        runs = steps.runs()
        if self.group is None:
            return blocks(part, len(steps.values), self.window, runs[0] if runs else []), ""
        sizes = [each[-1][1] for each in runs]
        begun = [sum(sizes[:place]) for place in range(len(sizes))]
        starts: dict[str, list[int]] = {name: [] for name in PARTS}
        whole = [[start for run in each for start in windows_of_run(*run, self.window)] for each in runs]
        long = [place for place, held in enumerate(whole) if held]
        left, reason = [place for place, held in enumerate(whole) if not held], None
        many = len(long) >= MANY
        for name, places in _shared(part, long).items() if many else ():
            starts[name] = [begun[place] + step for place in places for step in whole[place]]
        for place in [] if many else long:
            try:
                held = blocks(part, sizes[place], self.window, runs[place])
            except DataError as error:
                left, reason = [*left, place], error
                continue
            for name, found in held.items():
                starts[name] += [begun[place] + step for step in found]
        if not starts["train"]:
            message = f"no series of {shown(self.sheet.path)} is long enough for the windows"
            raise reason or fault(WINDOWS, message, Hint("a shorter window"), part=part, at=("window",))
        return starts, self._how(steps.owners, sorted(left), many)

    def _how(self, owners: Seq[str], left: Seq[int], many: bool) -> str:
        how = "divided among themselves" if many else "each divided in blocks of time"
        return f"{plural(len(owners), 'series')}, {how}" + (
            f"; {len(left)} too short for the windows {'is' if len(left) == 1 else 'are'} left out (the first: {shown(owners[left[0]])})"
            if left else "")


def _shared(part: Dataset, series: list[int]) -> dict[str, list[int]]:
    """Which series make up each part: permuted by the seed, then cut."""
    import numpy as np

    counts = divide(part, {"train": len(series)})
    order = np.random.RandomState(division_of(part).seed).permutation(len(series)).tolist()
    parts, begun = {}, 0
    for name in PARTS:
        size = counts[name] or 0
        parts[name] = [series[place] for place in order[begun:begun + size]]
        begun += size
    return parts
