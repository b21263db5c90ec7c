"""The series of a table, a step a row: one, or several told apart by a column; whole, or in windows that cross no border and no gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from aebuild.data.beside import Beside, beside
from aebuild.data.conditions import NOTHING
from aebuild.data.errors import fault, shown
from aebuild.data.index_columns import Axis
from aebuild.data.one_hot import expand
from aebuild.data.probe import Outline, plural
from aebuild.data.raw_samples import Cut, Raw, Samples, Whole
from aebuild.data.rules import WINDOWS
from aebuild.data.split import PARTS, blocks, divide, division_of, windows_in, windows_of_run
from aebuild.data.steps import Places, Steps, read_steps
from aebuild.data.table_conditions import dated, mark_of, of_sheet, reader, tells_time
from aebuild.data.tables import Sheet, named_by_number
from aebuild.data.time_axis import clock_features, clock_names
from aebuild.lang.columns import Field
from aebuild.lang.dataset import Dataset, Timed, Window
from aebuild.lang.diagnostics import DataError, Hint
from aebuild.lang.values import Sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANY = 10         # so many series are divided among themselves, fewer in blocks of time each


@dataclass(frozen=True)
class TableSeries:
    """The columns of such a table: inputs, targets, whose series it is, the time if there is one, and what each step is.

    `flagged` are the inputs whose empty cells get a flag. Without a `window` each series is a sample, padded to `length` steps, or to
    the longest.
    """

    sheet: Sheet
    window: Window | None
    inputs: tuple[int, ...]
    aims: tuple[int, ...]
    group: int | None
    axis: Axis | None
    part: Timed
    flagged: tuple[str, ...] = ()
    label: int | None = None
    length: int | None = None

    @property
    def single(self) -> bool:
        """False where each series is a sample."""
        return self.window is not None or self.group is None

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
        window = self.window
        if not self.single:
            return self._whole_outline()
        if window and steps is not None and windows_in(steps, window) < 1:
            raise fault(WINDOWS, f"{shown(self.sheet.path)} has {plural(steps, 'step')}, too few for a window of {window.length:,}",
                        Hint("a shorter window"), part=window if window.place("length") else part, at=("length", "window"))
        counts: dict[str, int | None] = dict.fromkeys(PARTS)
        if window and steps is not None and self.group is None and (self.axis is None or self.part.gaps == "ignore"):
            counts = {name: len(starts) for name, starts in blocks(part, steps, window).items()}
        return self._outline(window.length if window else 0, counts, self._sentence(steps))

    def _outline(self, length: int, counts: dict[str, int | None], sentence: str) -> Outline:
        names, inputs = self.sheet.names, [self.sheet.names[place] for place in self.inputs]
        return Outline(Sequence(length, len(inputs) + 2 * len(self.part.hands) + len(self.flagged)), counts, sentence,
                       divided=self.single, ragged=not self.single, target=Sequence(length, len(self.targets)) if self.targets else None,
                       columns=(*inputs, *clock_names(self.part.hands)),
                       target_columns=tuple(names[place] for place in self.targets) or None, notes=self.sheet.notes, fields=self.fields,
                       offered=of_sheet(self.sheet, self.part, dated=tells_time(self.sheet, self.axis)) if self.part.asked else NOTHING,
                       found=named_by_number(self.sheet, self.part, group=self.group, label=self.label))

    def _whole_outline(self) -> Outline:
        """Types and counts of whole series; their lengths are told by the column that tells them apart, which is read for it."""
        longest = max(self.sizes)
        length = longest if self.length is None else self.length
        sentence = f"{self._sentence(None)}; {plural(len(self.sizes), 'series')} of {min(self.sizes):,} to {longest:,} steps, each a sample"
        outline = self._outline(length, {"train": len(self.sizes)}, sentence)
        cut = sum(size > length for size in self.sizes)
        return outline if not cut else outline.told(f"{shown(self.sheet.path.name)}: {plural(cut, 'series')} of more than {length:,} steps "
                                                    f"{'is' if cut == 1 else 'are'} cut at the end")

    @cached_property
    def sizes(self) -> list[int]:
        """How many steps each series has."""
        assert self.group is not None
        if self.part.every is not None:
            return [int(size) for size in self._steps.borders()[1]]
        return list(Counter(self.sheet.read([], [self.group])[1][0]).values())

    def _sentence(self, steps: int | None) -> str:
        names = self.sheet.names
        label = "" if self.label is None else f"; {shown(names[self.label])} says what each step is"
        which = (f"1 series{f' of {steps:,} steps' if steps is not None else ''}" if self.group is None
                 else f"series told apart by {shown(names[self.group])}")
        return (f"{shown(self.sheet.path.name)}: {which}, {plural(len(self.inputs), 'column')} as input"
                + (f", {len(self.aims)} as target" if self.aims else "")
                + (f", cut into windows of {self.window.length:,} every {self.window.stride:,}" if self.window else "")
                + (f"; left out as the time: {shown(self.axis.name)}" if self.axis and self.axis.place in self.sheet.left else "") + label)

    def first(self) -> NDArray[np.float64]:
        """The longest of the series between two gaps, [1, T, D], without rows that have empty cells."""
        import numpy as np

        steps = self._steps
        begun = steps.borders()[0].tolist()
        start, end = max(((first + start, first + end) for first, runs in zip(begun, steps.runs(), strict=True) for start, end in runs),
                         key=lambda run: run[1] - run[0])
        values = steps.values[start:end, :len(self.inputs)]
        return values[np.isfinite(values).all(axis=1)][None]

    def load(self, part: Dataset) -> Raw:
        """The windows of each part, or all series whole."""
        steps = self._steps
        outline = self.outline(part, len(steps.values) if self.group is None else None)
        if not self.single:
            return self._loaded(self._told(outline, steps.notes), steps, part, lambda values: {"train": self._whole(values, steps)})
        starts, how = self._starts(part, steps)
        outline = self._told(outline, (*steps.notes, *([how] if how else [])))
        outline = replace(outline, counts={name: len(held) for name, held in starts.items()})
        length = self.window.length if self.window else 0
        word = "row" if self.group is None else f"row (ordered by {shown(self.sheet.names[self.group])})"
        word = word if self.part.every is None else "step"
        file = shown(self.sheet.path)
        return self._loaded(outline, steps, part, lambda values: {
            name: Cut(values[None], [(0, start) for start in held], length, file, word) for name, held in starts.items()})

    def _told(self, outline: Outline, notes: Seq[str]) -> Outline:
        for note in notes:
            if not any(note[:40] in other for other in outline.notes):
                outline = outline.told(f"{shown(self.sheet.path.name)}: {note}")
        return outline

    def _loaded(self, outline: Outline, steps: Steps, part: Dataset,
                samples: Callable[[NDArray[np.float64]], Mapping[str, Samples]]) -> Raw:
        """Inputs and targets as the `samples` that are made of values [steps, C]."""
        import numpy as np

        width = len(self.inputs)
        clock = clock_features(steps.times, self.part.hands, part) if self.part.hands else np.empty((len(steps.values), 0))
        x = np.concatenate([steps.values[:, :width], clock], axis=1)
        x = expand(x, self.fields) if self.fields else x
        aims = steps.values[:, width:] if self.aims else steps.values[:, :width]
        made = samples(x)
        lengths = {name: held.lengths for name, held in made.items() if isinstance(held, Whole)}
        return Raw(outline, made, target=samples(aims) if self.targets else {}, lengths=lengths, beside=self._beside(steps),
                   steps=steps.labels, conditions=reader(self.sheet, self.part, steps.rows, lambda: dated(steps.times)),
                   mark=mark_of(self.sheet))

    def _whole(self, values: NDArray[np.float64], steps: Steps) -> Whole:
        """Each series as a sample."""
        starts, counts = steps.borders()
        names = [shown(name) for name in steps.owners]
        return Whole(values, starts, counts, self.length or int(counts.max()), shown(self.sheet.path), names)

    @cached_property
    def _steps(self) -> Steps:
        """All rows as steps, in the order of the series, and at even times where the spec asks for that."""
        places = Places((*self.inputs, *self.aims), self.group, self.axis, self.label)
        return read_steps(self.sheet, places, self.part, whole=not self.single)

    def _beside(self, steps: Steps) -> Beside:
        return beside(self.sheet, {*self.inputs, *self.aims}, steps.rows, (self.group, self.axis.place if self.axis else None, self.label))

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
