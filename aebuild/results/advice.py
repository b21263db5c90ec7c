"""What is said after the results: what each figure means, and what to do next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.lang.terms import Likelihood, Penalty
from aebuild.results.diagnosis.remedies import length_of
from aebuild.results.run_plugins import options_of
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.terms import TermPlan
    from aebuild.results.evaluate import Evaluation



def advice(plan: Plan, evaluation: Evaluation, run: Path) -> list[str]:
    """The lines for people, for where messages go."""
    known = list(meanings(plan, evaluation))
    width = max(len(name) for name, _ in known)
    figures = [f"  {name:<{width}} {told}" for name, told in known]
    steps = [f"  {command}\n      {told}" for command, told in next_steps(plan, run)]
    return ["what the figures mean", *figures, "what next", *steps]


def meanings(plan: Plan, evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Each row of the table with its unit and which way is better."""
    for name in evaluation.model.terms:
        yield name, _term(plan, plan.term(name))
    if evaluation.model.mse is not None:
        yield "MSE per element", f"squared error of one value of the data, which are {plan.bounds}; lower is better"
    if evaluation.model.accuracy is not None:
        yield "tokens right", "share of the tokens that are reconstructed as they are; higher is better"
    if evaluation.model.psnr is not None:
        yield "PSNR in dB", "that error below the squared range of the data; higher is better"
    for name in evaluation.model.metrics:
        yield name, known_meanings(plan).get(name, "share of labels that are predicted rightly; higher is better")
    for task in plan.spec.evaluate.tasks:
        for name in evaluation.tasks[task.key].answer.figures if task.key in evaluation.tasks else ():
            yield f"{task.key} {name}", task.meanings.get(name, f"a figure of the task {task.key}")


def known_meanings(plan: Plan) -> dict[str, str]:
    """What the terms and metrics of the latent and its parts are."""
    latent = plan.spec.latent
    found = {"bound": "the loss of a sample as its terms are joined; lower is better",
             "prior": "nats of the prior's surprise at codes; lower is better"}
    for part in (latent, *latent.parts()):
        found.update(part.meanings)
    found.update(plan.spec.losses.bound.meanings)
    if plan.latent.start is not None:
        levels = range(1 + len(plan.latent.levels))
        found |= {f"{name}_{i}": f"level {i}: {told}" for name, told in found.items() for i in levels}
    return found


def _term(plan: Plan, term: TermPlan) -> str:
    config = term.config
    over = f"averaged over {term.elements:,} elements" if config.reduction == "mean" else "per sample"
    if isinstance(config, Likelihood | Penalty):
        return f"{config.unit} {over}; lower is better"
    if term.name in plan.spec.heads:
        return f"nats of surprise at the right label {over}; lower is better"
    told = known_meanings(plan).get(term.name, f"loss of the player {term.player}; it and its rivals hold each other in balance")
    unit, _, better = told.partition("; ")
    return f"{unit} {over}; {better}"


def next_steps(plan: Plan, run: Path) -> list[tuple[str, str]]:
    """Commands to paste, and what each does."""
    (key, length), plugins = length_of(plan), [record.path for record in Run(run).plugins]
    named = json.dumps(str(run), ensure_ascii=False) + (f", plugins={json.dumps(plugins, ensure_ascii=False)}" if plugins else "")
    python = shlex.quote(f"from aebuild import open_run; run = open_run({named}); print(run.model)")
    return [(f"{Run(run).resume_command} --set {key}={2 * length} --allow", "goes on to twice the length"),
            (f"aebuild train {shlex.quote(str(run / 'spec.yaml'))}{options_of(run)} --set train.seed={plan.spec.train.seed + 1}",
             "trains the same from another seed, which shows how much is chance; any other key can be set"),
            (f"aebuild score {shlex.quote(str(run))}{options_of(run)}",
             "says which test samples are unusual; encode, reconstruct and sample do what they say, on new data too"),
            (f"aebuild report {shlex.quote(str(run))}{options_of(run)}",
             "writes one page with all of it; `evaluate --task` asks further questions, `doctor` says what went wrong"),
            (f"python -i -c {python}", "opens the trained model in Python: run.encode(x), run.score(x), run.model, run.plan")]
