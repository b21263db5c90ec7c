"""Reconstructions in the data's own form; windows are merged back to the series that they were cut from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.one_hot import collapse
from aebuild.lang import values
from aebuild.lang.diagnostics import Diagnostic, Hint, UsageError
from aebuild.results.inference.codes import beside_samples, merged_windows, reconstruct_batches
from aebuild.results.inference.fitting import UNLIKE
from aebuild.results.inference.forms import Columns, columns_of, form_of, write_samples
from aebuild.results.inference.other_size import target_of
from aebuild.results.inference.passes import Progress, unseen
from aebuild.results.inference.row_files import ROWS, appearing, row_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.data.new_samples import NewData
    from aebuild.lang.splits import Windows
    from aebuild.results.inference.fitting import Fitted
    from aebuild.results.trained_run import TrainedRun


def write_fitted(run: TrainedRun, found: Fitted, place: Path, progress: Progress = unseen) -> dict[str, int]:
    """Writes reconstructions of samples of any size by the ending of the name; how many."""
    ending = place.suffix.lower()
    if len(found.sizes) > 1 and ending in (*ROWS, ".png"):
        raise UsageError(Diagnostic(UNLIKE, f"{place} would hold samples of unlike sizes", fix=Hint("-o FOLDER")))
    data, size = found.groups[0][1], next(iter(found.sizes))
    info = replace(run.info, target=target_of(run).with_places(size))
    write_samples(place, found.reconstructions(progress), len(found), data.part, info, data.target_scaling or data.scaling, found.beside)
    return {"samples": len(found)}


def write_reconstructions(run: TrainedRun, data: NewData, place: Path, progress: Progress = unseen) -> dict[str, int]:
    """Writes them by the ending of the name; how many samples, or steps where the samples are windows."""
    scaling = data.target_scaling or data.scaling
    windows = data.split.windows
    if windows is None or place.suffix.lower() == ".png" or not isinstance(run.plan.target, values.Sequence):
        write_samples(place, reconstruct_batches(run, data, progress), len(data), data.part, run.info, scaling, beside_samples(data))
        return {"samples": len(data)}
    steps, names = merged_steps(run, data, windows, reconstruct_batches(run, data, progress))
    if isinstance(form_of(data.part, run.info), Columns) and place.suffix.lower() == ".csv":
        with appearing(place) as partial:
            Columns(names).write(partial, [steps], data.beside)
    else:
        assert place.suffix.lower() in ROWS
        with row_file(place, len(steps), data.beside) as file:
            file.add(**columns_of(Columns(names), place.suffix.lower(), steps.astype(np.float32)))
    return {"steps": len(steps)}


def merged_steps(run: TrainedRun, data: NewData, windows: Windows, batches: Iterable[NDArray[Any]]
                 ) -> tuple[NDArray[np.float64], Sequence[str] | None]:
    """Reconstructed windows, in the model's units, as the steps of the series [rows, columns] in the data's own, and the columns' names."""
    scaling = data.target_scaling or data.scaling
    steps = merged_windows(windows, (scaling.undo(batch) for batch in batches))
    names, fields = run.info.target_columns or run.info.columns, run.info.target_range.fields
    return (collapse(steps, fields) if fields else steps), names
