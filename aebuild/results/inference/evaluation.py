"""A run's evaluation again: on its own test part, or on new data beside the baselines of its training data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.compile.front import load
from aebuild.data.new_samples import paired
from aebuild.lang.diagnostics import Diagnostic, UsageError
from aebuild.lang.samples import silent
from aebuild.results.answers import UNTOLD, ask
from aebuild.results.evaluate import Evaluation, evaluate
from aebuild.results.evaluation_table import NEW
from aebuild.results.inference.new_data import own_split, own_splits
from aebuild.results.inference.passes import unseen
from aebuild.results.inference.scoring import Scored, score
from aebuild.results.inference.truth import truth_of
from aebuild.results.judged_split import JUDGED_VALUES, judged_part

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.lang.splits import Splits
    from aebuild.lang.tasks import Task
    from aebuild.results.answers import Kept
    from aebuild.results.inference.passes import Progress
    from aebuild.results.trained_run import TrainedRun


def evaluate_run(run: TrainedRun, data: NewData | None = None, *, say: Callable[[str], None] = silent,
                 progress: Callable[[str, int, int], object] = lambda what, done, whole: None) -> Evaluation:
    """Terms, errors and baselines on the run's test part, or on new data; all samples are judged.

    The baselines are fitted to the run's training data, which must still be where they were.
    """
    found = evaluate(run.plan, run.model, _judging(own_splits(run, say), data), progress=progress)
    return found if data is None else replace(found, split=NEW)


def answer_tasks(run: TrainedRun, asked: Sequence[str], data: NewData | None = None, *, say: Callable[[str], None] = silent,
                 progress: Callable[[str, int, int], object] = lambda what, done, whole: None) -> list[Kept]:
    """The answers of tasks, each written as in a spec: `probe`, or `{probe: {labels: 550}}`; the run keeps them.

    SpecError for a task that there is not or that these data cannot answer, UsageError where none is named; what the model cannot answer
    has no figures.
    """
    tasks = parse_tasks(run, asked)
    if not tasks:
        raise UsageError(Diagnostic(UNTOLD, "no task is named, so there is nothing to answer", fix="--task reconstruction"))
    splits = _judging(own_splits(run, say), data)
    name, judged, _ = judged_part(splits)
    return ask(run, splits, name if data is None else NEW, judged, tasks, progress)


def demand_answers(found: Sequence[Kept]) -> None:
    """UsageError that names every task without an answer, if there is one."""
    untold = [Diagnostic(UNTOLD, f"{kept.name}: {'; '.join(kept.answer.notes)}") for kept in found if not kept.answer.figures]
    if untold:
        raise UsageError(*untold)


def parse_tasks(run: TrainedRun, asked: Sequence[str]) -> list[Task]:
    """Tasks from their text, checked against the run's data; SpecError where one is wrong."""
    loaded = load(run.run.folder / "spec.yaml", [f"evaluate.tasks=[{', '.join(asked)}]"], known=run.info)
    return [task.settled(Path.cwd()) for task in loaded.require().spec.evaluate.tasks]


def _judging(splits: Splits, data: NewData | None) -> Splits:
    """The splits with new data in the place of the test part."""
    if data is None:
        return splits
    split = paired(data).split
    if len(split) * prod(split.inputs.shape[1:]) <= JUDGED_VALUES:
        split = split.thinned(len(split))                   # in memory
    return replace(splits, test=split)


def detect_anomalies(run: TrainedRun, data: NewData | None, anomalies: Sequence[str] | None, *, say: Callable[[str], None] = silent,
                     progress: Progress = unseen) -> Scored | None:
    """All scores of the run's test part or of new data, if their labels say which samples, or steps, are anomalies."""
    judged = own_split(run, "test", say) if data is None else data
    stepwise = judged.steps is not None and judged.split.windows is not None
    if truth_of(run, judged, anomalies, stepwise=stepwise) is None:
        return None
    return score(run, judged, ("all",), anomalies=anomalies, windows=not stepwise, say=say, progress=progress)
