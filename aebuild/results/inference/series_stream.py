"""Long series of a run that was trained on windows, in chunks of which each goes on where the one before it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.errors import fault
from aebuild.data.new_samples import NewData
from aebuild.data.probe import plural
from aebuild.lang.conditioning import Reader
from aebuild.lang.diagnostics import Diagnostic, Hint, UsageError
from aebuild.lang.samples import silent
from aebuild.lang.splits import Chunks, Split, Windows
from aebuild.results.inference.chunks import UNCHAINED, chunk_size, in_chunks
from aebuild.results.inference.given import ALL
from aebuild.results.inference.new_data import new_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.results.inference.given import Given
    from aebuild.results.trained_run import TrainedRun


def series_stream(run: TrainedRun, data: Any, settings: Sequence[str] = (), say: Callable[[str], None] = silent,
                  given: Given | None = None, size: int | None = None, readers: Sequence[Reader] = ALL) -> tuple[TrainedRun, NewData]:
    """The run that takes chunks, and each series of new data as chunks that follow each other, the last one of each filled up with zeros.

    A series ends where windows do: at the end of the file, of a machine, and where time has a gap. Chunks have `size` places, whole
    periods of the model's strides; by default as many as are computed well. Without the decoder among the `readers` only the encoder must
    go forward. DataError or UsageError where the model cannot take them so.
    """
    window = getattr(run.plan.spec.data, "window", None)
    if window is None or window.length < 2 or run.info.conditions:
        why = "is told conditions of each window" if run.info.conditions else "was not trained on windows of a longer series"
        raise UsageError(Diagnostic(UNCHAINED, f"this model {why}, so that there is none to go along", fix=Hint("leave --fit out")))
    if isinstance(data, NewData):
        raise UsageError(Diagnostic(UNCHAINED, "these data are cut into windows already", fix=Hint("give their file, or the array [T, D]")))
    found = new_samples(_at_every_step(run), data, settings, say, given, readers)
    lie = found.split.windows
    if lie is None or not len(found):
        raise fault(UNCHAINED, "the new data hold no series", Hint("give a table or an array [T, D]"))
    borders = np.flatnonzero(np.diff(lie.starts, prepend=lie.starts[0] - 2) != 1)
    counts = np.diff([*borders.tolist(), len(lie.starts)])
    size = size or chunk_size(run, int(counts.max()) + lie.length - 1)
    sized = in_chunks(run, size, codes="decoder" not in readers)
    series = [_steps(found.split, int(first), int(count), lie.length) for first, count in zip(borders, counts, strict=True)]
    told = (f"{plural(len(series), 'series')}, {plural(sum(map(len, series)), 'step')}, in chunks of {size:,}, each of which goes on where "
            "the one before it ended")
    split = _chunks(series, lie.starts[borders], size, lie.rows)
    return sized, replace(found, split=split, info=sized.info, words=None, notes=(*found.notes, told))


def _at_every_step(run: TrainedRun) -> TrainedRun:
    """The run with windows that begin at each step, which tell where series lie."""
    spec = run.plan.spec
    window = spec.data.window.but(stride=1)  # type: ignore[attr-defined]  # a series has one, as was looked
    return replace(run, plan=replace(run.plan, spec=spec.but(data=spec.data.but(window=window))))


def _steps(split: Split, first: int, count: int, length: int) -> NDArray[np.float32]:
    """The steps [T, D] that so many windows from the first one on lie over, one step after the other, scaled."""
    whole = np.arange(first, first + count, length)
    last = first + count - 1
    windows = split.inputs.scaled(split.inputs.take(np.append(whole, last)))
    steps: NDArray[np.float32] = windows[:-1].reshape(-1, windows.shape[2])
    left = count + length - 1 - len(steps)
    return np.concatenate([steps, windows[-1, length - left:]]) if left else steps


def _chunks(series: Sequence[NDArray[np.float32]], rows: NDArray[np.int64], size: int, total: int) -> Split:
    """All series as chunks [n, size, D], with the `rows` of the data at which they begin."""
    pieces, starts, lengths, begins = [], [], [], []
    for steps, row in zip(series, rows.tolist(), strict=True):
        count = -(-len(steps) // size)
        filled = np.concatenate([steps, np.zeros((count * size - len(steps), steps.shape[1]), steps.dtype)])
        pieces.append(filled.reshape(count, size, -1))
        for number in range(count):
            starts.append(row + number * size)
            lengths.append(min(size, len(steps) - number * size))
            begins.append(number == 0)
    split = Split(np.concatenate(pieces))
    split.chunks = Chunks(np.asarray(begins), np.asarray(starts), np.asarray(lengths))
    split.windows = Windows(split.chunks.starts, size, total, split.chunks.lengths)
    return split
