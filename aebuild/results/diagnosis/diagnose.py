"""A run looked at: what went wrong, what did not, and what could not be looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.samples import silent
from aebuild.results.diagnosis.cause import Clear, Finding
from aebuild.results.diagnosis.causes import examine
from aebuild.results.diagnosis.evidence import Evidence, Need, evidence_of
from aebuild.results.evaluate import Evaluation, evaluate
from aebuild.results.inference.new_data import own_splits
from aebuild.results.judged_split import judged_samples, judged_split
from aebuild.results.run_facts import run_facts
from aebuild.results.run_plan import info_of, plan_of
from aebuild.results.trained import TrainedModel
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from aebuild.lang.splits import Splits
    from aebuild.results.trained_run import TrainedRun


@dataclass(frozen=True)
class Diagnosis:
    """What is to be said of a run: findings, the likeliest first; what is so with such a model; causes that were looked for in vain.

    `skipped` holds the causes that could not be looked for, with the reason; `health` what was noticed while it was trained; `damage`
    says which of its files is not as it was written, if one is.
    """

    run: Path
    state: str
    epochs: int
    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    clear: tuple[Clear, ...]
    skipped: dict[str, str]
    evaluation: Evaluation | None
    health: tuple[dict[str, Any], ...] = ()
    damage: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"run": str(self.run), "state": self.state, "damage": self.damage or None, "epochs": self.epochs,
                "findings": [each.to_json() for each in self.findings],
                "remarks": [each.to_json() for each in self.remarks],
                "nothing_found": [each.to_json() for each in self.clear],
                "while_training": list(self.health),
                "not_looked_for": [{"cause": cause, "reason": reason} for cause, reason in self.skipped.items()]}


def diagnose(folder: Path, opened: Callable[[Path], TrainedRun], say: Callable[[str], None] = silent) -> Diagnosis:
    """Looks at a run, however it ended; `opened` loads its kept model.

    What is lost, the data or all checkpoints, is told: causes that need it are not looked for. CheckpointError if the folder is no run or
    its plan cannot be read.
    """
    run = Run.open(folder)
    try:
        trained = opened(folder)
    except AebuildError as error:
        return _diagnosis(_without_model(run, error.diagnostics[0].message))
    return diagnose_run(trained, say)


def diagnose_run(trained: TrainedRun, say: Callable[[str], None] = silent) -> Diagnosis:
    """Looks at an opened run."""
    facts = run_facts(trained.run.folder)
    missing: dict[Need, str] = {}
    splits: Splits | None = None
    model: TrainedModel | None = None
    evaluation: Evaluation | None = None
    try:
        splits = own_splits(trained, say)
    except AebuildError as error:
        missing = dict.fromkeys(("data", "evaluation", "model"), error.diagnostics[0].message)
    if splits is not None:
        name, split = judged_split(splits)
        judged = split.thinned(judged_samples(split, 0))
        evaluation = replace(evaluate(trained.plan, trained.model, replace(splits, test=judged)), split=name)
        model = TrainedModel(trained, splits, judged)
    return _diagnosis(evidence_of(trained.run, trained.plan, evaluation, splits, model, state=facts.state, reason=facts.reason,
                                  missing=missing, beyond_chance=True))


def _without_model(run: Run, why: str) -> Evidence:
    """Curves alone."""
    facts, plan = run_facts(run.folder), plan_of(run, info_of(run))
    return evidence_of(run, plan, None, None, state=facts.state, reason=facts.reason,
                       missing=dict.fromkeys(("data", "evaluation", "model"), why))


def health_events(run: Run) -> Iterator[dict[str, Any]]:
    """What was noticed while a run was trained: phase, epoch, and the event itself."""
    for record in run.journal.read():
        for event in record.get("health", ()):
            yield {"phase": record["phase"], "epoch": record["epoch"], **event}


def _diagnosis(evidence: Evidence) -> Diagnosis:
    done = examine(evidence)
    return Diagnosis(evidence.run, evidence.state, evidence.curves.epochs, tuple(done.found), tuple(done.remarks), tuple(done.clear),
                     done.skipped, evidence.evaluation, tuple(health_events(Run(evidence.run))),
                     evidence.reason if evidence.state == "damaged" else "")
