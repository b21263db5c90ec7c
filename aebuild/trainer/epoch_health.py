"""A training looked at after each epoch, beside what its run has written down before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from aebuild.modules.code import Code
from aebuild.modules.outputs import Outputs
from aebuild.trainer.health import Health, Look, look_at

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.batches.loader import SplitLoader
    from aebuild.trainer.checkpoints.trainer_state import Progress
    from aebuild.trainer.distributed.process_group import ProcessGroup
    from aebuild.trainer.phase import ActivePhase
    from aebuild.trainer.run_dir.run import Run

ROWS = 2_000                     # training samples whose mean is the simplest reconstruction


class Watched(Protocol):
    """What a trainer has that is looked at."""

    plan: Plan
    run: Run
    group: ProcessGroup
    model: Autoencoder
    loader: SplitLoader
    judge: SplitLoader | None
    progress: Progress


@torch.no_grad()
def term_of_mean(trainer: Watched) -> float | None:
    """The reconstruction term, on the validation split, of the mean of some training samples; None where a mean is no reconstruction."""
    plan, model, judge = trainer.plan, trainer.model, trainer.judge
    if judge is None or plan.target.dtype == "int64" or not model.likelihood.whole or trainer.group.sharded:     # which wants all processes
        return None
    batches = list(trainer.loader.passing(_bounds(min(ROWS, trainer.loader.samples))))
    if any(batch.lengths is not None or batch.mask is not None for batch in batches):
        return None
    mean = torch.cat([batch.target for batch in batches]).mean(0, keepdim=True)
    return _judged(model, judge, plan.term("reconstruction"), mean)


def _judged(model: Autoencoder, judge: SplitLoader, term: Any, mean: Tensor) -> float | None:
    params, total = model.likelihood.params_of(mean), 0.0
    if params is None:
        return None
    for batch in judge.passing(_bounds(judge.samples)):
        rows = len(batch.x)
        made = Outputs(batch, Code(batch.x), params=params.expand(rows, *params.shape[1:]), mean=model.likelihood.mean)
        total += float(term.config.reduce(model.likelihood.loss(made), term.elements)) * rows
    return total / judge.samples


def _bounds(samples: int, size: int = 1_000) -> list[tuple[int, int]]:
    return [(start, min(samples, start + size)) for start in range(0, samples, size)]


class HealthWatch:
    """Looks at each epoch of a training; what was told before is read from the run, so a resume tells nothing twice."""

    def __init__(self, trainer: Watched) -> None:
        self._trainer = trainer
        self._mean: list[float | None] = []
        self._seen: int | None = None              # the batch of the run at the last look
        self._told: set[tuple[str, str]] = set()   # phases, and codes told in them
        self._before: dict[str, dict[str, float]] = {}

    def look(self, active: ActivePhase, means: Mapping[str, float], judged: Mapping[str, float], gradients: Mapping[str, float]
             ) -> list[Health]:
        """What goes wrong since this epoch."""
        trainer, phase, clock = self._trainer, active.plan.name, active.clock
        step, total = trainer.progress.step, trainer.progress.total
        if self._seen is None or total <= self._seen:
            self._take_up(phase)
        figures, before = judged or means, self._before
        found = look_at(Look(trainer.plan, active.plan, -(-step // clock.per_epoch), step / clock.total, figures, means, gradients,
                             before.get("figures", {}), before.get("training", {}), before.get("gradients", {}), self._term_of_mean),
                        [code for where, code in self._told if where == phase])
        self._told.update((phase, each.code) for each in found)
        self._seen = total
        self._before = {} if step >= clock.total else {"figures": dict(figures), "training": dict(means), "gradients": dict(gradients)}
        return found

    def _take_up(self, phase: str) -> None:
        records = self._trainer.run.journal.read()
        self._told = {(record["phase"], event["code"]) for record in records for event in record.get("health", ())}
        own = [record for record in records if record["phase"] == phase]
        training: dict[str, Any] = next((record for record in reversed(own) if record["split"] == "train"), {})
        figures: dict[str, Any] = own[-1] if own else {}
        self._before = {name: {**record.get("terms", {}), **record.get("metrics", {})}
                        for name, record in (("figures", figures), ("training", training))}
        self._before["gradients"] = training.get("gradients", {})

    def _term_of_mean(self) -> float | None:
        if not self._mean:
            self._mean.append(term_of_mean(self._trainer))
        return self._mean[0]
