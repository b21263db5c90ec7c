"""The main job: a spec becomes a trained, evaluated and pictured model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.compile.canonical import text
from aebuild.compile.duration import unsaid
from aebuild.compile.front import Loaded, load
from aebuild.compile.plugins import plugins_of
from aebuild.compile.spec_diff import differences
from aebuild.data.assemble import load_splits
from aebuild.data.fingerprint import fingerprint
from aebuild.lang.dataset import OnDisk, Streamable, Where
from aebuild.lang.diagnostics import Hint
from aebuild.lang.printable import clean
from aebuild.results.absolute_paths import absolute, absolute_data, absolute_start
from aebuild.results.advice import advice
from aebuild.results.answers import ask
from aebuild.results.evaluate import Evaluation, evaluate
from aebuild.results.judged_split import judged_part, judged_samples, judged_split
from aebuild.results.length import lasting, length_told
from aebuild.results.picture import Picture, draw_picture
from aebuild.results.revision import Request, accept, sentences, write
from aebuild.results.run_plan import info_of, plan_of
from aebuild.results.run_plugins import check_unchanged
from aebuild.results.sameness import PLACES, check_there, keep_watch, only_moved, place_of, root_of
from aebuild.results.teachers import teacher_of
from aebuild.results.trained_run import TrainedRun
from aebuild.results.verdict import finding
from aebuild.trainer.distributed.init_distributed import join
from aebuild.trainer.distributed.process_group import ProcessGroup
from aebuild.trainer.fit import TrainResult
from aebuild.trainer.fit import train as fit
from aebuild.trainer.job import PLAIN, Job, Manner
from aebuild.trainer.phase import clock_of
from aebuild.trainer.profiling.timers import Timers
from aebuild.trainer.progress.display import Display, Ending, Quiet
from aebuild.trainer.run_dir.folder import vacant
from aebuild.trainer.run_dir.run import ReadOnlyRun, Run, data_record
from aebuild.trainer.signals import Signals

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.compile.plugins import Plugin
    from aebuild.compile.spec import Spec
    from aebuild.lang.dataset import Dataset
    from aebuild.lang.splits import Splits
    from aebuild.results.answers import Kept


@dataclass(frozen=True)
class Outcome:
    """What a training left: its run directory, the model, its scores, its picture, and lines that explain them."""

    run: Path
    result: TrainResult
    evaluation: Evaluation
    picture: Picture
    advice: tuple[str, ...] = ()


def train(spec: str | Path | Loaded, settings: Sequence[str] = (), *, folder: Path | None = None, parent: Path = Path("runs"),
          display: Display | None = None, manner: Manner = PLAIN) -> Outcome:
    """Trains a spec into a new run directory, evaluates it and draws its picture.

    `settings` are `path=value` changes of the spec. In a group of processes that a launcher started, which must be `devices`
    where that is given, the first one returns and the others end in Silent; `shard` divides the weights among them. Raises the
    AebuildError that tells what is wrong and how to mend it.
    """
    loaded = spec if isinstance(spec, Loaded) else load(spec, settings)
    with _new_job(loaded, folder, parent, display or Quiet(), manner) as job:
        return _finish(_whole(job), resume=False)


def train_only(loaded: Loaded, parent: Path, manner: Manner = PLAIN) -> Path:
    """Trains a spec into a new run directory in `parent`, quietly, and neither evaluates nor draws; which one that is."""
    with _new_job(loaded, None, parent, Quiet(), manner) as job:
        fit(job, resume=False)
        return job.run.folder


@contextmanager
def _new_job(loaded: Loaded, folder: Path | None, parent: Path, display: Display, manner: Manner) -> Iterator[Job]:
    """A training that may begin: its data read, its run made."""
    plan, base, timers = loaded.require(), loaded.base, Timers()
    group = join(plan.spec.train.device, manner.devices, sharded=manner.shard)
    with group.guard(), Signals("while the data were read") as signals:
        if folder is not None and group.first:
            vacant(folder)                       # said at once, not when all data have been read
        display.busy("loading data")
        with timers.of("loading data"):
            splits = group.in_turn(lambda: load_splits(plan.spec.data, Where(base, say=display.note)))
        _tell(splits, display)
        own = _given_file(loaded)
        plan = _settled(plan, base, splits, own)                                  # as a resume will find it
        unwritten, plan = bool(unsaid(plan.spec)), lasting(plan, splits)
        display.note(length_told(plan, splits, unwritten=unwritten))
        with _created(plan, splits, folder, parent, own) if group.first else ReadOnlyRun(folder or parent) as run:
            yield Job(plan, splits, run, display, timers, manner, signals, group, teachers=teacher_of)


def resume(folder: str | Path, display: Display | None = None, *, change: Request | None = None, manner: Manner = PLAIN) -> Outcome:
    """Goes on with a run exactly where it stopped, from its directory alone and its data, or with a changed spec.

    CheckpointError if a plug-in of the run was not named; SpecError if a change, also one of a plug-in or one that was made in the
    run's `spec.yaml`, does not fit the run's weights, or is not allowed; DataError
    if the data are gone or have changed. A run that died before its first checkpoint begins anew.
    """
    display, timers, folder, change = display or Quiet(), Timers(), Path(folder), change or Request()
    told = check_unchanged(folder, allow=change.allow)
    device = (change.spec.require() if change.spec is not None else _plan_in(folder)).spec.train.device
    group = join(device, manner.devices, sharded=manner.shard)
    with group.guard(), Run.open(folder, write=True) if group.first else ReadOnlyRun(folder) as run, \
            Signals("before training went on", run.resume_command) as signals:
        display.busy("loading data")
        with timers.of("loading data"):
            if group.first:
                _change(run, change, display)
                _remember(run, told, display)
            group.agree(0)                    # from here on the run's spec is the changed one, for all processes
            plan, root = _plan_in(folder), place_of(run)
            if group.first:
                check_there(run, plan.spec.data)
            splits = group.in_turn(lambda: load_splits(plan.spec.data, Where(folder, root, display.note)))
            if group.first:
                keep_watch(run, plan, splits, display, allow=change.allow)
            group.agree(0)
        plan = _plan_in(folder)               # over the data as they are now
        _tell(splits, display)
        job = Job(plan, splits, run, display, timers, manner, signals, group, teachers=teacher_of)
        return _finish(_whole(job), resume=_begun(run, group, display))


def _created(plan: Plan, splits: Splits, folder: Path | None, parent: Path, own: Path | None) -> Run:
    return Run.create(plan.spec.name, spec=text(plan.spec), plan=plan.to_json(), data=data_record(splits), folder=folder, parent=parent,
                      fingerprint=fingerprint(splits), root=root_of(plan.spec.data), plugins=plugins_in(plan), own_data=own)


def _remember(run: Run, told: Sequence[str], display: Display) -> None:
    """Writes down which plug-ins the run's parts are from now on, where that has changed."""
    for sentence in told:
        display.note(clean(f"{sentence}; training goes on with it"))
        run.log(clean(f"{sentence}; training goes on with it"))
    used = plugins_in(_plan_in(run.folder))
    if [(record.path, record.sha256) for record in run.plugins] != [(str(plugin.path), plugin.sha256) for plugin in used]:
        run.remember(used)


def plugins_in(plan: Plan) -> tuple[Plugin, ...]:
    """The plug-ins that a plan's parts are from."""
    return plugins_of([plan.spec, *(node.part for node in plan.nodes())])


def _plan_in(folder: Path) -> Plan:
    run = Run.open(folder)
    return plan_of(run, info_of(run))


def _change(run: Run, change: Request, display: Display) -> None:
    """Writes a changed spec and its data into the run; SpecError if they cannot be taken."""
    origin = run.origin
    wanted = change.spec
    if wanted is None and origin is not None and run.spec != origin.spec:
        wanted = load(run.folder / "spec.yaml")                  # edited by hand
    if wanted is None:
        return
    new, base = wanted.require(), Path(wanted.file).parent
    splits = load_splits(new.spec.data, Where(base, place_of(run), display.note))
    before = plan_of(run, info_of(run), origin.spec if origin is not None else None)
    new = lasting(_settled(new, base, splits, _stored_file(run, before)), splits, before)
    settled = new.spec
    found = differences(before, new)
    if only_moved(run, found, splits):
        found = [replace(each, kind="harmless") if each.path in PLACES else each for each in found]
    changes = accept(found, allow=change.allow, again=Hint("the same command with --allow"))
    for sentence in sentences(changes):
        display.note(sentence)
    write(run, new, settled, splits, changes)
    if any(each.path.startswith("data") for each in changes) or origin is None:
        run.accept(text(settled), fingerprint(splits), root_of(settled.data))
    else:
        run.accept(text(settled), run.fingerprint, origin.root)


def _begun(run: Run, group: ProcessGroup, display: Display) -> bool:
    begun = bool(group.agree(0, int(group.first and (run.checkpoints.begun() or run.journal.length() > 0)))[1])
    if not begun:
        display.note("this run ended before its first checkpoint: it begins anew")
    return begun


def _tell(splits: Splits, display: Display) -> None:
    """What was found, and what happened to it on the way."""
    for sentence in (splits.info.detected, *(f"note: {clean(note)}" for note in splits.notes)):
        display.note(sentence)


def _whole(job: Job) -> Job:
    """A job that knows how much will be evaluated after it."""
    _, split = judged_split(job.splits)
    judged = min(len(split), judged_samples(split, _samples_trained(job.plan, job.splits)))
    return replace(job, afterwards=judged)


def _samples_trained(plan: Plan, splits: Splits) -> int:
    """How many samples all phases train, each as often as it is trained."""
    return sum(clock_of(phase, len(splits.train)).total * phase.batch_size for phase in plan.phases if phase.data == "samples")


def _finish(job: Job, *, resume: bool) -> Outcome:
    plan, splits, run, timers = job.plan, job.splits, job.run, job.timers
    job.group.tell_resume(run.resume_command)
    result = fit(job, resume=resume)
    job.signals.where = "in the evaluation"
    trained = _samples_trained(plan, splits)
    with timers.of("evaluation"):
        evaluation = evaluate(plan, result.model, splits, trained=trained, progress=job.display.busy)
        if evaluation.samples < evaluation.whole:
            job.display.note(f"judged by {evaluation.samples:,} of the {evaluation.whole:,} samples of the {evaluation.split} split, "
                             f"evenly spaced, so that evaluation does not take long beside so short a training")
        trained_run = TrainedRun(run, plan, result.model, splits.info, splits.scaling, splits.target_scaling, result.kept)
        found = finding(trained_run, evaluation, splits)
        if found is not None:
            evaluation = replace(evaluation, findings=(found,))
            run.log(f"{found.code}: {found.message}")
        evaluation = replace(evaluation, tasks=_asked(job, trained_run, trained))
        run.write("evaluation.json", evaluation.to_json())
    job.display.busy("drawing the picture")
    with timers.of("picture"):
        picture = draw_picture(plan, result.model, splits, run.folder / "picture.png")
    outcome = Outcome(run.folder, result, evaluation, picture, tuple(advice(plan, evaluation, run.folder)))
    run.log(str(timers))
    job.display.end(_ending(outcome, timers))
    return outcome


def _asked(job: Job, run: TrainedRun, trained: int) -> dict[str, Kept]:
    """The answers of the spec's tasks; what could not be answered is said."""
    splits, tasks = job.splits, job.plan.spec.evaluate.tasks
    if not tasks:
        return {}
    name, judged, _ = judged_part(splits, trained)
    found = ask(run, splits, name, judged, tasks, job.display.busy)
    for kept in found:
        for told in kept.answer.notes:
            job.display.note(f"{kept.name}: {told}")
    return {kept.name: kept for kept in found}


def _ending(outcome: Outcome, timers: Timers) -> Ending:
    result = outcome.result
    return Ending(result.kept, result.epoch, result.score, result.steps, outcome.evaluation.to_json(), str(outcome.run),
                  str(outcome.picture.path), outcome.picture.notes, timers.spent(), str(timers))


def _given_file(loaded: Loaded) -> Path | None:
    """The file of data that were given in memory, if the spec's settings still read it."""
    spec, given = loaded.spec, loaded.given
    file = None if given is None else given.file
    return file if spec is not None and isinstance(spec.data, OnDisk) and spec.data.path == str(file) else None


def _stored_file(run: Run, plan: Plan) -> Path | None:
    """The run's own copy of such data."""
    data = plan.spec.data
    return run.folder / data.path if isinstance(data, OnDisk) and not os.path.isabs(data.path) else None


def _settled(plan: Plan, base: Path, splits: Splits, own: Path | None = None) -> Plan:
    """The plan with absolute paths, so that a run can be taken up from anywhere, and with or without memory for all of its data.

    `own` is a file that lies in the run itself, or will, and is named without a folder: it moves with the run.
    """
    spec = absolute(plan.spec, base).but(data=_settled_data(plan.spec, base, splits, own))
    return replace(plan, spec=spec, phases=tuple(replace(phase, start=absolute_start(phase.start, base)) for phase in plan.phases))


def _settled_data(spec: Spec, base: Path, splits: Splits, own: Path | None) -> Dataset:
    data = spec.data
    if isinstance(data, Streamable):
        data = data.but(stream=splits.streamed)
    if isinstance(data, OnDisk) and own is not None and (base / data.path).absolute() == own.absolute():
        return data.but(path=own.name)
    return absolute_data(data, base)


