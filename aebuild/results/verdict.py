"""A result that a baseline beats: said at the end, with the likeliest cause and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aebuild.compile.lints import BEATEN
from aebuild.lang.diagnostics import Diagnostic
from aebuild.results.diagnosis.beaten import beaten
from aebuild.results.diagnosis.causes import likeliest
from aebuild.results.diagnosis.evidence import evidence_of
from aebuild.results.judged_split import judged_split
from aebuild.results.trained import TrainedModel
from aebuild.trainer.progress.formatting import number

if TYPE_CHECKING:
    from aebuild.lang.splits import Splits
    from aebuild.results.evaluate import Evaluation
    from aebuild.results.trained_run import TrainedRun


def finding(run: TrainedRun, evaluation: Evaluation, splits: Splits) -> Diagnostic | None:
    """The warning about a result that a baseline beats, if so and if the spec does not allow it."""
    verdict = beaten(evaluation)
    if verdict is None or BEATEN.code in run.plan.spec.allow:
        return None
    trained = TrainedModel(run, splits, judged_split(splits)[1])
    cause = likeliest(evidence_of(run.run, run.plan, evaluation, splits, trained))
    told = f"{verdict.baseline} reconstructs the {evaluation.split} split better: {verdict.measure} {number(verdict.theirs)}, " \
           f"of the model {number(verdict.ours)}"
    if cause is None:
        return Diagnostic(BEATEN, told)
    return Diagnostic(BEATEN, f"{told}; likeliest cause: {cause.message}", fix=cause.fix)
