"""A result that a baseline beats: said at the end, with the likeliest cause and what to do about it."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.compile.duration import STEPS
from aebuild.compile.lints import BEATEN
from aebuild.lang.diagnostics import Diagnostic, Hint
from aebuild.lang.schedule import Ramp, numbers
from aebuild.results.baselines import fitted_rows, known_targets
from aebuild.results.curves import Curves
from aebuild.results.run_plugins import options_of
from aebuild.trainer.progress.formatting import number
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Splits
    from aebuild.results.evaluate import Evaluation, Scores


SLACK = 0.01                # of what lies between the baselines: nearer is as good
LOSSLESS = 1e-9             # an error of PCA that says its code is as large as the data
SIZES = (0.01, 20.0)        # root mean squares that training copes with
COLLAPSED = 0.25            # nats: a code of so few tells next to nothing of its sample
LONGEST = 20                # times as long: what needs more will not get there in this way


@dataclass(frozen=True)
class Verdict:
    """The baseline that is better, its figure and the model's; what they were compared by, and the better baseline's figure."""

    baseline: str
    measure: str
    ours: float
    theirs: float
    best: float


@dataclass(frozen=True)
class Evidence:
    """What a cause is looked for in: plan, scores, curves, steps that were taken, the data's size, the run's folder."""

    plan: Plan
    evaluation: Evaluation
    curves: Curves
    steps: int
    size: float
    run: Path

    def again(self, *settings: str) -> str:
        """The command that trains anew with other settings."""
        spec = shlex.quote(str(self.run / "spec.yaml")) + options_of(self.run)
        return " ".join(("aebuild train", spec, *(f"--set {shlex.quote(each)}" for each in settings)))

    def longer(self, times: float) -> str:
        """The command that goes on with this run."""
        path, length = length_of(self.plan)
        return (f"{Run(self.run).resume_command} --set {path}={_rounded(times * length)} --allow")


def length_of(plan: Plan) -> tuple[str, int]:
    """The key of the spec that the last phase's length is written at, and the length."""
    train, plans = plan.spec.train, plan.model_phase
    last = max((i for i, phase in enumerate(train.phases) if phase.data == plans.data), default=0)
    own = train.phases[last]
    key = "steps" if plans.epochs is None else "epochs"
    path = "train" if own.epochs is None and own.steps is None else f"train.phases.{last}"
    return f"{path}.{key}", plans.epochs or plans.steps or 1


def beaten(evaluation: Evaluation) -> Verdict | None:
    """The baseline that the model does not beat: the mean if not even that, else PCA, unless its code is as large as the data."""
    measure, value = _measure(evaluation)
    ours, mean = value(evaluation.model), value(evaluation.mean)
    if evaluation.pca is None:
        worse = not ours < mean - SLACK * abs(mean)
        return Verdict("the most frequent token of each place", measure, ours, mean, mean) if worse else None
    pca = value(evaluation.pca)
    slack = SLACK * abs(mean - pca)
    if not ours < mean - slack:
        return Verdict("the mean of the training samples", measure, ours, mean, min(mean, pca))
    if (evaluation.pca.mse or 0.0) > LOSSLESS and ours > pca + slack:
        components = f"{evaluation.components:,} component{'s'[:evaluation.components != 1]}"
        return Verdict(f"PCA with {components}", measure, ours, pca, pca)
    return None


def _measure(evaluation: Evaluation) -> tuple[str, Any]:
    """The model's own reconstruction term where both baselines have it, else the squared error."""
    def term(scores: Scores) -> float:
        return scores.terms["reconstruction"]

    own = all("reconstruction" in scores.terms for scores in (evaluation.model, evaluation.pca, evaluation.mean) if scores)
    return ("reconstruction", term) if own else ("MSE per element", lambda scores: scores.mse)


def finding(plan: Plan, evaluation: Evaluation, splits: Splits, run: Run) -> Diagnostic | None:
    """The warning about a result that a baseline beats, if so and if the spec does not allow it."""
    verdict = beaten(evaluation)
    if verdict is None or BEATEN.code in plan.spec.allow:
        return None
    records = run.journal.read()
    evidence = Evidence(plan, evaluation, Curves.of(records, plan.model_phase.name), records[-1]["step"] if records else 0,
                        _size(splits), run.folder)
    cause, fix = _cause(evidence, verdict)
    told = f"{verdict.baseline} reconstructs the {evaluation.split} split better: {verdict.measure} {number(verdict.theirs)}, " \
           f"of the model {number(verdict.ours)}"
    return Diagnostic(BEATEN, f"{told}; likeliest cause: {cause}", fix=fix)


def _size(splits: Splits) -> float:
    """The root mean square of the training targets."""
    rows = fitted_rows(known_targets(splits.train))
    return float(np.sqrt(np.square(rows, dtype=np.float64).mean()))


def _cause(evidence: Evidence, verdict: Verdict) -> tuple[str, str]:
    for look in (_scale, _by_heart, _short, _collapse, _rate, _price):
        found = look(evidence, verdict)
        if found is not None:
            return found
    lr, path = _rate_of(evidence.plan)
    return ("the curve is flat, so the layers are too narrow for these data, or the learning rate is too coarse for the end of it",
            _with_rate(evidence, lr / 3, path))


def _scale(evidence: Evidence, verdict: Verdict) -> tuple[str, str] | None:
    low, high = SIZES
    if low <= evidence.size <= high or evidence.size == 0 or evidence.evaluation.pca is None:
        return None
    support = evidence.plan.spec.losses.reconstruction.support
    scale = "standard" if support is None else "unit"
    return (f"the values are far from unit size (root mean square {number(evidence.size)})", evidence.again(f"data.scale={scale}"))


def _short(evidence: Evidence, verdict: Verdict) -> tuple[str, str] | None:
    curves = evidence.curves
    pace = curves.pace()
    if curves.epochs > 1 and pace <= 0:
        return None
    times = 2.0
    if pace > 0 and verdict.measure == "reconstruction":
        weight = max(numbers(evidence.plan.term("reconstruction").config.weight))
        times = max(2.0, 1 + 2 * weight * (verdict.ours - verdict.best) / pace / curves.epochs)
    if times > LONGEST:
        return None
    times = max(times, STEPS / max(1, evidence.steps))
    return (f"training ended after {curves.epochs:,} epoch{'s'[:curves.epochs != 1]} while the loss was still falling: train longer",
            evidence.longer(times))


def _collapse(evidence: Evidence, verdict: Verdict) -> tuple[str, str] | None:
    model, latent = evidence.evaluation.model, evidence.plan.spec.latent
    perplexity, codes = model.metrics.get("perplexity"), getattr(latent, "codes", None)
    if perplexity is not None and codes is not None and perplexity < max(2.0, codes / 20):
        setting = "latent.restart.below=0.1" if getattr(latent, "init", "") == "kmeans" else "latent.init=kmeans"
        return f"the codebook collapsed (perplexity {number(perplexity)} of {codes:,} entries)", evidence.again(setting)
    active, kl = model.metrics.get("active_units"), model.terms.get("kl")
    if active is not None and kl is not None and (active < 1 or kl < COLLAPSED):
        weight = evidence.plan.term("kl").config.weight
        setting = "losses.kl.free_bits=0.1"
        if not isinstance(weight, Ramp | list) and weight > 0:
            setting = f"losses.kl={_rounded(weight / 10)}" if weight > 1 else f"losses.kl.weight={{from: 0, to: {weight:g}, over: 50%}}"
        return f"the posterior collapsed to the prior ({number(active)} active units, a KL of {number(kl)} nats)", evidence.again(setting)
    return None


def _by_heart(evidence: Evidence, verdict: Verdict) -> tuple[str, str] | None:
    curves = evidence.curves
    if not curves.by_heart():
        return None
    return (f"the training samples are learned by heart: their loss ended at {number(curves.losses[-1])}, that of validation at "
            f"{number(curves.scores[-1])}", Hint("more samples, narrower layers, dropout or a corruption of the input"))


def _rate(evidence: Evidence, verdict: Verdict) -> tuple[str, str] | None:
    lr, path = _rate_of(evidence.plan)
    if not evidence.curves.losses:
        return None
    usual = max(numbers(type(evidence.plan.model_phase.players[0].optimizer).model_fields["lr"].default))
    if evidence.curves.unsteady():
        return f"the loss goes up and down, so the learning rate of {lr:g} is too large", _with_rate(evidence, lr / 10, path)
    if not (verdict.baseline.startswith("the ") or evidence.curves.pace() > 0):
        return None
    if lr > usual:
        return f"the loss hardly moves, and the learning rate of {lr:g} is a large one", _with_rate(evidence, max(usual, lr / 10), path)
    return f"the loss hardly moves, so the learning rate of {lr:g} is too small", _with_rate(evidence, max(usual, lr * 10), path)


def _price(evidence: Evidence, verdict: Verdict) -> tuple[str, str] | None:
    kl = evidence.evaluation.model.terms.get("kl")
    weight = next((max(numbers(term.config.weight)) for term in evidence.plan.terms if term.name == "kl"), 0.0)
    if kl is None or weight <= 0 or evidence.evaluation.pca is None:
        return None
    return (f"the KL term, at weight {weight:g}, lets the code carry {number(kl)} nats, where PCA keeps whole float32 numbers; for better "
            "reconstructions at the cost of samples, lower it", evidence.again(f"losses.kl={_rounded(weight / 10)}"))


def _rate_of(plan: Plan) -> tuple[float, str | None]:
    """The largest learning rate of the last phase's first player, and the key it is written at, where it is one number for all."""
    optimizer, train = plan.model_phase.players[0].optimizer, plan.spec.train
    return max(numbers(optimizer.lr)), "train.optimizer.lr" if optimizer == train.optimizer and isinstance(optimizer.lr, float) else None


def _with_rate(evidence: Evidence, lr: float, path: str | None) -> str:
    return evidence.again(f"{path}={_rounded(lr)}") if path is not None else Hint(f"a learning rate of about {_rounded(lr)}")


def _rounded(value: float) -> str:
    """A number in two digits, as a spec has it; whole from ten on."""
    if value >= 10:
        step = 10 ** max(0, math.floor(math.log10(value)) - 1)
        return str(math.ceil(value / step) * step)
    return f"{value:.2g}"
