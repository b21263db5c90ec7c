"""A run's evaluation again: on its own test part, or on new data beside the baselines of its training data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from aebuild.lang.samples import silent
from aebuild.results.evaluate import JUDGED_VALUES, Evaluation, evaluate
from aebuild.results.inference.new_data import own_split, own_splits
from aebuild.results.inference.passes import unseen
from aebuild.results.inference.scoring import Scored, score
from aebuild.results.inference.truth import truth_of
from aebuild.results.report import NEW

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.results.inference.passes import Progress
    from aebuild.results.trained_run import TrainedRun


def evaluate_run(run: TrainedRun, data: NewData | None = None, *, say: Callable[[str], None] = silent,
                 progress: Callable[[str, int, int], object] = lambda what, done, whole: None) -> Evaluation:
    """Terms, errors and baselines on the run's test part, or on new data; all samples are judged.

    The baselines are fitted to the run's training data, which must still be where they were.
    """
    splits = own_splits(run, say)
    if data is not None:
        split = data.split
        if len(split) * prod(split.inputs.shape[1:]) <= JUDGED_VALUES:
            split = split.thinned(len(split))                   # in memory
        splits = replace(splits, test=split)
    found = evaluate(run.plan, run.model, splits, progress=progress)
    return found if data is None else replace(found, split=NEW)


def detect_anomalies(run: TrainedRun, data: NewData | None, anomalies: Sequence[str] | None, *, say: Callable[[str], None] = silent,
                     progress: Progress = unseen) -> Scored | None:
    """All scores of the run's test part or of new data, if their labels say which samples, or steps, are anomalies."""
    judged = own_split(run, "test", say) if data is None else data
    stepwise = judged.steps is not None and judged.split.windows is not None
    if truth_of(run, judged, anomalies, stepwise=stepwise) is None:
        return None
    return score(run, judged, ("all",), anomalies=anomalies, windows=not stepwise, say=say, progress=progress)
