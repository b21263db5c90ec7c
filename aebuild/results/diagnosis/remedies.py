"""The commands that help: training anew with other settings, or going on with a run."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.lang.diagnostics import Hint
from aebuild.lang.schedule import Ramp, numbers
from aebuild.results.run_plugins import options_of
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan


def anew(run: Path, *settings: str) -> str:
    """The command that trains a run's spec anew with other settings."""
    spec = shlex.quote(str(run / "spec.yaml")) + options_of(run)
    return " ".join(("aebuild train", spec, *(f"--set {shlex.quote(each)}" for each in settings)))


def longer(run: Path, plan: Plan, times: float) -> str:
    """The command that goes on with a run to so many times its length."""
    path, length = length_of(plan)
    return f"{Run(run).resume_command} --set {path}={rounded(times * length)} --allow"


def length_of(plan: Plan) -> tuple[str, int]:
    """The key of the spec that the last phase's length is written at, and the length."""
    train, plans = plan.spec.train, plan.model_phase
    last = max((i for i, phase in enumerate(train.phases) if phase.data == plans.data), default=0)
    own = train.phases[last]
    key = "steps" if plans.epochs is None else "epochs"
    path = "train" if own.epochs is None and own.steps is None else f"train.phases.{last}"
    return f"{path}.{key}", plans.epochs or plans.steps or 1


def rate_of(plan: Plan) -> tuple[float, str | None]:
    """The largest learning rate of the last phase's first player, and the key it is written at, where one key says it for all."""
    optimizer, train = plan.model_phase.players[0].optimizer, plan.spec.train
    lr = optimizer.lr
    largest = max(numbers(lr))
    if optimizer != train.optimizer or isinstance(lr, list):
        return largest, None
    end = "" if not isinstance(lr, Ramp) else ".from" if lr.start == largest else ".to"
    return largest, f"train.optimizer.lr{end}"


def usual_rate(plan: Plan) -> float:
    """The learning rate that the first player's optimiser has where none is written."""
    return max(numbers(type(plan.model_phase.players[0].optimizer).model_fields["lr"].default))


def with_rate(run: Path, plan: Plan, lr: float, *further: str) -> str:
    """The command that trains with another learning rate; a hint where it is not one number."""
    path = rate_of(plan)[1]
    return anew(run, f"{path}={rounded(lr)}", *further) if path is not None else Hint(f"a learning rate of about {rounded(lr)}")


def fixed(weight: Any) -> bool:
    """True for a weight that is one number throughout."""
    return not isinstance(weight, Ramp | list)


def rounded(value: float) -> str:
    """A number in two digits, as a spec has it; whole from ten on."""
    if value >= 10:
        step = 10 ** max(0, math.floor(math.log10(value)) - 1)
        return str(math.ceil(value / step) * step)
    return f"{value:.2g}"
