"""A run taken up again: its plan and its kept model, from the run directory alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, SpecError
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Scaling
from aebuild.trainer.keeper import fill
from aebuild.trainer.run import NOT_A_RUN, Run

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.modules.autoencoder import Autoencoder


@dataclass(frozen=True)
class OpenRun:
    """A trained model with its plan, data description and scaling.

    `kept` names the checkpoint the weights are from; `notes` say which better ones were damaged.
    """

    run: Run
    plan: Plan
    model: Autoencoder
    info: DataInfo
    scaling: Scaling
    target_scaling: Scaling | None
    kept: str
    notes: tuple[str, ...] = ()


def open_run(folder: str | Path, device: str | torch.device = "cpu") -> OpenRun:
    """Loads the kept checkpoint of a run, verified, in evaluation mode and without gradients.

    CheckpointError if the folder is no run, or no checkpoint passes verification.
    """
    run = Run.open(Path(folder))
    try:
        info = DataInfo.from_json(run.data["info"])
        scaling = Scaling.from_json(run.data["scaling"])
        told = run.data["target_scaling"]
        target_scaling = None if told is None else Scaling.from_json(told)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(Diagnostic(NOT_A_RUN, f"{run.folder / 'data.json'} does not describe data: {error!r}")) from error
    plan = plan_of(run, info)
    model = _model(plan)
    loaded = run.checkpoints.load(*(("best", "step") if plan.spec.train.keep == "best" else ("step", "best")))
    fill(model, loaded)
    return OpenRun(run, plan, model.to(device).eval().requires_grad_(False), info, scaling, target_scaling, loaded.name, loaded.passed_over)


def plan_of(run: Run, info: DataInfo) -> Plan:
    """The plan of a run's canonical spec over the data as they were; nothing but the run directory is read."""
    from aebuild.compile.bind import bind
    from aebuild.compile.lengthen import lengthen
    from aebuild.compile.planner import plan
    from aebuild.lang.source import read
    from aebuild.parts import discover

    discover()
    tree, found = read(run.spec, str(run.folder / "spec.yaml"))
    spec = None
    if tree is not None:
        spec, more = bind(lengthen(tree, lambda path, keys: ""))
        found = [*found, *more]
    planned = plan(spec, info) if spec is not None else None
    if planned is None or planned.plan is None:
        raise SpecError(*found, *(planned.diagnostics if planned is not None else ()))
    return planned.plan


def _model(plan: Plan) -> Autoencoder:
    from aebuild.compile.build import build

    return build(plan, plan.spec.train.seed)
