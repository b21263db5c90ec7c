"""Which samples a walk is about, and the walk as a picture, an animation or an array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.errors import fault
from aebuild.data.new_samples import STRANGE, NewData
from aebuild.lang.diagnostics import Diagnostic, UsageError
from aebuild.results.inference.forms import endings, form_of, grid_of, limits_of, store_animation, store_picture, write_samples
from aebuild.results.inference.row_files import row_file
from aebuild.results.inference.walks import BAD_WALK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.results.trained_run import TrainedRun

ANIMATED = (".gif", ".webp")
BY_LABEL = "label="


def walk_endings(run: TrainedRun) -> tuple[str, ...]:
    """What walks can be written as: a strip, an animation, the data's own form, rows."""
    return (*ANIMATED, *endings(form_of(run.plan.spec.data, run.info)))


def rows_named(data: NewData, text: str) -> list[int]:
    """The samples that a word means: numbers with commas, or the first one of a label."""
    if text.startswith(BY_LABEL):
        label = text.removeprefix(BY_LABEL)
        if data.words is None or label not in data.words:
            there = "these data have no labels" if data.words is None else f"the labels are {', '.join(sorted(set(data.words))[:20])}"
            raise fault(STRANGE, f"no sample has the label {label!r}; {there}")
        return [list(data.words).index(label)]
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(Diagnostic(BAD_WALK, f"{text!r} is no sample: give its number, counted from 0, or label=NAME")) from None


def label_named(text: str | None) -> str | None:
    """The label of `label=NAME`."""
    if text is None:
        return None
    if not text.startswith(BY_LABEL):
        raise UsageError(Diagnostic(BAD_WALK, f"{text!r} names no label; write label=NAME"))
    return text.removeprefix(BY_LABEL)


def write_walks(place: Path, walks: NDArray[Any], run: TrainedRun) -> None:
    """Walks [n, steps, ...] in the model's units, by the ending of the name.

    In a picture a row each, in an animation all at once. Else in the data's units: .npz and .npy as [n, steps, ...], all other forms
    sample after sample, with the number of the walk and the place on it beside each.
    """
    value, flat, part = run.plan.target, walks.reshape(-1, *walks.shape[2:]), run.plan.spec.data
    limits, form, scaling = limits_of(run.info, flat), part.form(run.info), run.target_scaling or run.scaling
    ending = place.suffix.lower()
    if ending == ".png":
        store_picture(place, grid_of(value, flat, walks.shape[1], limits, form))
    elif ending in ANIMATED:
        columns = min(len(walks), max(1, round(len(walks) ** 0.5)))
        store_animation(place, [grid_of(value, np.ascontiguousarray(walks[:, step]), columns, limits, form)
                                for step in range(walks.shape[1])])
    elif ending in (".npz", ".npy"):
        with row_file(place, len(walks)) as file:
            file.add(x=scaling.undo(flat).reshape(walks.shape))
    else:
        ways = list(np.ndindex(walks.shape[:2]))
        beside = {"walk": [str(walk) for walk, _ in ways], "place": [str(at) for _, at in ways]}
        named = {"file": [f"{walk:03d}-{at:03d}" for walk, at in ways]} if not ending else beside
        write_samples(place, [flat], len(flat), part, run.info, scaling, named)
