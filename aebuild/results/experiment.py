"""The main job: a spec becomes a trained, evaluated and pictured model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.compile.canonical import text
from aebuild.compile.front import Loaded, load
from aebuild.lang.dataset import DataInfo, Known, OnDisk, Where
from aebuild.results.evaluate import Evaluation, evaluate
from aebuild.results.open_run import plan_of
from aebuild.results.picture import Picture, draw_picture
from aebuild.trainer.display import Display, Quiet
from aebuild.trainer.fit import TrainResult
from aebuild.trainer.fit import train as fit
from aebuild.trainer.group import Group
from aebuild.trainer.join import join
from aebuild.trainer.run import Onlooker, Run, data_record

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.compile.spec import Spec
    from aebuild.lang.dataset import Dataset
    from aebuild.lang.splits import Splits


@dataclass(frozen=True)
class Outcome:
    """What a training left: its run directory, the model, its scores and its picture."""

    run: Path
    result: TrainResult
    evaluation: Evaluation
    picture: Picture


def train(spec: str | Path | Loaded, settings: Sequence[str] = (), *, folder: Path | None = None, parent: Path = Path("runs"),
          display: Display | None = None, devices: int | None = None, shard: bool = False) -> Outcome:
    """Trains a spec into a new run directory, evaluates it and draws its picture.

    `settings` are `path=value` changes of the spec. In a group of processes that a launcher started, which must be `devices`
    where that is given, the first one returns and the others end in Silent; `shard` divides the weights among them. Raises the
    AebuildError that tells what is wrong and how to mend it.
    """
    loaded = spec if isinstance(spec, Loaded) else load(spec, settings)
    plan = loaded.require()
    display = display or Quiet()
    base = Path(loaded.file).parent
    group = join(plan.spec.train.device, devices, sharded=shard)
    with group.guard():
        splits = group.in_turn(lambda: plan.spec.data.load(Where(base, say=display.note)))
        _tell(splits, display)
        settled = plan.spec.but(data=_absolute(plan.spec, base))
        with Run.create(plan.spec.name, spec=text(settled), plan=plan.to_json(), data=data_record(splits), folder=folder,
                        parent=parent) if group.first else Onlooker(folder or parent) as run:
            return _finish(plan, splits, run, display, group, resume=False)


def resume(folder: str | Path, display: Display | None = None, *, devices: int | None = None, shard: bool = False) -> Outcome:
    """Goes on with a run exactly where it stopped, from its directory alone and its data."""
    display = display or Quiet()
    known = Run.open(Path(folder))
    plan = plan_of(known, DataInfo.from_json(known.data["info"]))
    group = join(plan.spec.train.device, devices, sharded=shard)
    with group.guard(), Run.open(Path(folder), write=True) if group.first else Onlooker(Path(folder)) as run:
        splits = group.in_turn(lambda: plan.spec.data.load(Where(Path(folder), say=display.note)))
        _tell(splits, display)
        return _finish(plan, splits, run, display, group, resume=True)


def _tell(splits: Splits, display: Display) -> None:
    """What was found, and what happened to it on the way."""
    for sentence in (splits.info.detected, *splits.notes):
        display.note(sentence)


def _finish(plan: Plan, splits: Splits, run: Run, display: Display, group: Group, *, resume: bool) -> Outcome:
    group.tell_resume(run.resume_command)
    result = fit(plan, splits, run, resume=resume, display=display, group=group)
    evaluation = evaluate(plan, result.model, splits)
    run.write("evaluation.json", evaluation.to_json())
    return Outcome(run.folder, result, evaluation, draw_picture(plan, result.model, splits, run.folder / "picture.png"))


def _absolute(spec: Spec, base: Path) -> Dataset:
    """The data with absolute paths, so that a run can be taken up from anywhere."""
    data = spec.data
    if isinstance(data, OnDisk):
        return data.but(path=str((base / data.path).absolute()))
    if isinstance(data, Known) and data.root is not None:
        return data.but(root=str((base / data.root).absolute()))
    return data


