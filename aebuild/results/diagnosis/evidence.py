"""What the causes of a bad result are looked for in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from aebuild.results.baselines import fitted_rows
from aebuild.results.curves import Curves
from aebuild.results.diagnosis.beaten import Verdict, beaten
from aebuild.results.diagnosis.measurements import Spectrum, dead_units, spectrum, worse_than_pca
from aebuild.results.diagnosis.remedies import fixed, rate_of
from aebuild.trainer.phase import clock_of, objective_of
from aebuild.trainer.run_dir.records import EpochRecord, held, not_a_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Split, Splits
    from aebuild.lang.terms import TermPlan
    from aebuild.results.diagnosis.measurements import Layer
    from aebuild.results.evaluate import Evaluation
    from aebuild.results.run_facts import State
    from aebuild.results.trained import TrainedModel
    from aebuild.trainer.run_dir.run import Run

Need = Literal["curves", "evaluation", "data", "model"]


@dataclass
class Evidence:
    """All that is known of a training: its plan and how it ended, curves, scores, data, the model.

    What could not be had is None, and `missing` says why. Measurements are made when a cause first asks for them.
    """

    plan: Plan
    run: Path
    state: State
    reason: str
    curves: Curves
    steps: int
    terms: dict[str, tuple[float, ...]]                 # each term of each epoch of the last phase: of validation, if there is one
    evaluation: Evaluation | None = None
    splits: Splits | None = None
    trained: TrainedModel | None = None
    missing: dict[Need, str] = field(default_factory=dict)
    beyond_chance: bool = False                         # whether a few judged samples that are reconstructed worse are no defeat
    last_rate: float | None = None                      # learning rate of the first player in the last epoch

    @cached_property
    def verdict(self) -> Verdict | None:
        """The baseline that is better than the model, if one is; with `beyond_chance` not where PCA is better by chance alone."""
        found = None if self.evaluation is None else beaten(self.evaluation)
        if found is None or found.by_a_constant or not self.beyond_chance or self.trained is None:
            return found
        return found if worse_than_pca(self.trained, self.scores.components) else None

    @property
    def settled(self) -> bool:
        """True if the learning rate had fallen to a tenth or less by the end: a curve is flat then wherever it stands."""
        return self.last_rate is not None and self.last_rate <= rate_of(self.plan)[0] / 10

    @property
    def scores(self) -> Evaluation:
        """The evaluation, where a cause needs it."""
        assert self.evaluation is not None, "a cause that needs the evaluation is asked only where there is one"
        return self.evaluation

    @property
    def data(self) -> Splits:
        """The data, where a cause needs them."""
        assert self.splits is not None, "a cause that needs the data is asked only where they are there"
        return self.splits

    @property
    def model(self) -> TrainedModel:
        """The trained model, where a cause needs it."""
        assert self.trained is not None, "a cause that needs the model is asked only where there is one"
        return self.trained

    @property
    def judged(self) -> Split:
        """The split that is judged, or some samples of it."""
        return self.model.judged

    def term(self, name: str) -> TermPlan | None:
        """The term of that name, if the model has it."""
        return next((term for term in self.plan.terms if term.name == name), None)

    @cached_property
    def rows(self) -> NDArray[np.float32]:
        """Training targets, [n, D], evenly spaced."""
        return fitted_rows(self.data.train.aims)

    @cached_property
    def size(self) -> float:
        """The root mean square of the training targets."""
        return float(np.sqrt(np.square(self.rows, dtype=np.float64).mean()))

    @cached_property
    def spectrum(self) -> Spectrum:
        """The principal variances of the training targets."""
        return spectrum(self.rows)

    @cached_property
    def layers(self) -> list[Layer]:
        """The units behind each nonlinearity, and how many of them never move on the judged split."""
        return dead_units(self.plan, self.model)


def evidence_of(run: Run, plan: Plan, evaluation: Evaluation | None, splits: Splits | None, trained: TrainedModel | None = None, *,
                state: State = "finished", reason: str = "", missing: Mapping[Need, str] | None = None, beyond_chance: bool = False
                ) -> Evidence:
    """The evidence of a run whose curves are in its `metrics.jsonl`; `missing` says why what is None could not be had.

    CheckpointError if a line of that file is not what a training writes.
    """
    records, phase = run.journal.read(), plan.model_phase.name
    with not_a_run(run.journal.path):
        for record in records:
            held(EpochRecord, record, str(run.journal.path))
    samples = len(splits.train) if splits is not None else None
    curves = Curves.of(under_final_weights(plan, records, samples), phase)
    lacking = dict(missing or {})
    if not curves.losses:
        lacking["curves"] = "metrics.jsonl has no epoch of the last phase"
    return Evidence(plan, run.folder, state, reason, curves, records[-1]["step"] if records else 0, terms_of(records, phase),
                    evaluation, splits, trained, lacking, beyond_chance, _last_rate(plan, records))


def _last_rate(plan: Plan, records: Sequence[dict[str, Any]]) -> float | None:
    """The learning rate with which the last epoch of the phase ended; None where nothing tells it."""
    phase = plan.model_phase
    told = [record["lr"] for record in records if record["phase"] == phase.name and isinstance(record.get("lr"), dict)]
    return told[-1].get(phase.players[0].name) if told else None


def terms_of(records: Sequence[dict[str, Any]], phase: str) -> dict[str, tuple[float, ...]]:
    """Each term of each epoch of a phase, of the validation split where there is one."""
    own = [record for record in records if record["phase"] == phase]
    judged = [record["terms"] for record in own if record["split"] == "validation"] or [record["terms"] for record in own]
    return {name: tuple(float(terms[name]) for terms in judged) for name in (judged[0] if judged else {})}


def under_final_weights(plan: Plan, records: Sequence[dict[str, Any]], samples: int | None) -> list[dict[str, Any]]:
    """The records with the training loss that the weights at the end of the phase make of its terms; `samples` are those of training.

    A weight that rises makes the loss rise, which says nothing about the training.
    """
    phase = plan.model_phase
    weights = [plan.term(name).config.weight for name in phase.players[0].terms]
    if samples is None or all(map(fixed, weights)) or plan.spec.losses.bound.joined:
        return list(records)
    objective = objective_of(plan, phase.players[0].terms, clock_of(phase, samples), phase)
    return [{**record, "loss": objective.score(record["terms"])} if record["split"] == "train" and record["phase"] == phase.name else record
            for record in records]
