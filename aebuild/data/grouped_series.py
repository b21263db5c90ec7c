"""A table of several series, told apart by a column; no window crosses from one to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aebuild.data.errors import fault, shown
from aebuild.data.formats.csv_dialect import ROWS
from aebuild.data.index_columns import Axis, disorder
from aebuild.data.probe import Outline, plural
from aebuild.data.raw_samples import Cut, Raw
from aebuild.data.rules import WINDOWS
from aebuild.data.split import PARTS, blocks, divide, division_of, windows_in
from aebuild.data.tables import Sheet
from aebuild.lang.dataset import Dataset, Window
from aebuild.lang.diagnostics import DataError, Hint
from aebuild.lang.values import Sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANY = 10         # so many series are divided among themselves, fewer in blocks of time each


@dataclass(frozen=True)
class Grouped:
    """The columns of such a table: inputs, targets, whose series it is, and the time if there is one."""

    sheet: Sheet
    window: Window | None
    inputs: list[int]
    aims: list[int]
    group: int
    axis: Axis | None

    single = True
    steps = None
    seen = ROWS

    def outline(self, part: Dataset, steps: int | None) -> Outline:
        """Types; counts are known only when the table was read."""
        length = self.window.length if self.window else 0
        names = self.sheet.names
        sentence = (f"{shown(self.sheet.path.name)}: series told apart by {shown(names[self.group])}, "
                    f"{plural(len(self.inputs), 'column')} as input"
                    + (f", {len(self.aims)} as target" if self.aims else "")
                    + (f", cut into windows of {length:,} every {self.window.stride:,}" if self.window else "")
                    + (f"; left out as the time: {shown(self.axis.name)}" if self.axis and self.axis.place in self.sheet.left else ""))
        return Outline(Sequence(length, len(self.inputs)), dict.fromkeys(PARTS), sentence, divided=True, notes=self.sheet.notes,
                       target=Sequence(length, len(self.aims)) if self.aims else None, columns=tuple(names[place] for place in self.inputs),
                       target_columns=tuple(names[place] for place in self.aims) or None)

    def load(self, part: Dataset) -> Raw:
        """The windows of each part."""
        import numpy as np

        words = [self.group, *([self.axis.place] if self.axis else [])]
        values, texts = self.sheet.read([*self.inputs, *self.aims], words)
        owners = dict.fromkeys(texts[0])
        numbers = {owner: place for place, owner in enumerate(owners)}
        series = np.asarray([numbers[owner] for owner in texts[0]], np.int64)
        order = np.argsort(series, kind="stable")
        starts, told = self._starts(part, np.bincount(series), list(owners))
        outline = self.outline(part, None).told(told)
        outline = replace(outline, counts={name: len(held) for name, held in starts.items()})
        if self.axis and not any("not in the order" in note for note in outline.notes):
            late = disorder(self.axis, texts[1], texts[0])
            outline = outline.told(late) if late else outline
        name, word = shown(self.sheet.path), f"row (ordered by {shown(self.sheet.names[self.group])})"
        width, length = len(self.inputs), self.window.length if self.window else 0
        cut = {part_name: [Cut(values[order][None, :, columns], [(0, start) for start in held], length, name, word)
                           for columns in (slice(0, width), slice(width, None))] for part_name, held in starts.items()}
        return Raw(outline, {part_name: both[0] for part_name, both in cut.items()},
                   target={part_name: both[1] for part_name, both in cut.items()} if self.aims else {})

    def _starts(self, part: Dataset, sizes: NDArray[np.int64], owners: list[str]) -> tuple[dict[str, list[int]], str]:
        """The first rows of each part's windows in the table ordered by series, and how it was divided."""
        assert self.window is not None
        begun = [int(sizes[:place].sum()) for place in range(len(sizes))]
        found: dict[str, list[int]] = {name: [] for name in PARTS}
        left, reason = [], None
        long = [place for place, size in enumerate(sizes.tolist()) if windows_in(size, self.window)]
        if many := len(long) >= MANY:
            left = [place for place in range(len(sizes)) if place not in set(long)]
            for name, places in _shared(part, long).items():
                for place in places:
                    found[name] += [begun[place] + step * self.window.stride for step in range(windows_in(int(sizes[place]), self.window))]
        for place, size in enumerate([] if many else sizes.tolist()):
            try:
                held = blocks(part, size, self.window)
            except DataError as error:
                left, reason = [*left, place], error
                continue
            for name, steps in held.items():
                found[name] += [begun[place] + step for step in steps]
        if not found["train"]:
            raise reason or self._too_short(part)
        how = "divided among themselves" if many else "each divided in blocks of time"
        return found, f"{shown(self.sheet.path.name)}: {plural(len(sizes), 'series')}, {how}" + (
            f"; {len(left)} too short for the windows {'is' if len(left) == 1 else 'are'} left out (the first: {shown(owners[left[0]])})"
            if left else "")

    def _too_short(self, part: Dataset) -> DataError:
        return fault(WINDOWS, f"no series of {shown(self.sheet.path)} is long enough for the windows", Hint("a shorter window"), part=part,
                     at=("window",))


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
