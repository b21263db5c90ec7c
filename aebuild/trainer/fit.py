"""Training from end to end: a plan and data in, a trained model and a run directory out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from aebuild.lang.diagnostics import AebuildError, DataError, DivergedError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.priors import Prior
from aebuild.trainer.batches.codes import Codes, give_samples
from aebuild.trainer.checkpoints.checkpoint import read_training
from aebuild.trainer.checkpoints.writer import fill
from aebuild.trainer.device import choose_device, describe_device, environment, memory_guard
from aebuild.trainer.loop import Trainer
from aebuild.trainer.phase import clock_of
from aebuild.trainer.profiling.profiler import Profile
from aebuild.trainer.progress.display import Heading
from aebuild.trainer.run_dir.records import mapping_in
from aebuild.trainer.signals import Interrupted
from aebuild.trainer.speed.autotune import choose_execution
from aebuild.trainer.speed.fallback import train_with_fallback

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.trainer.job import Job
    from aebuild.trainer.profiling.timers import Timers
    from aebuild.trainer.progress.display import Display
    from aebuild.trainer.run_dir.run import Run

ENVIRONMENT = "environment.json"


@dataclass(frozen=True)
class TrainResult:
    """A finished training: the kept model in evaluation mode, which checkpoint it is, and what it took.

    `epoch` and `score` belong to the best checkpoint of the last phase and are None where there is no validation split.
    """

    model: Autoencoder
    kept: str
    epoch: int | None
    score: float | None
    steps: int
    seconds: float
    device: torch.device


def train(job: Job, *, resume: bool = False, model: Autoencoder | None = None) -> TrainResult:
    """Trains what the job's plan says and leaves everything in its run directory.

    `model` replaces the freshly built one. Of a group of processes all but the first end here (Silent). With `resume` the
    training goes on at the very step of the newest good checkpoint, computed as before; a training that was finished is loaded again.
    Raises ResourceError, DivergedError, CheckpointError, and Interrupted after a signal, when everything is saved.
    """
    plan, run, display, timers, manner, group = job.plan, job.run, job.display, job.timers, job.manner, job.group
    timers.turn("starting")
    device = choose_device(plan.spec.train.device)
    now = {**environment(device, plan.spec.train.seed), "processes": group.size}
    if resume and group.first:
        _compare(run, now, display)
    run.write(ENVIRONMENT, now)
    batch_size = max(phase.batch_size for phase in plan.phases)
    with _own_generators(device), job.signals as signals, _shown(_heading(job, device), run, display, timers), \
            memory_guard(plan, batch_size):
        signals.where, signals.resume = "after the training", run.resume_command
        built = model or _built(plan)
        if not resume:
            give_samples(plan, built, job.splits.train)
        trainer = Trainer(job, built, device)
        with closing(trainer.state), _worth_keeping(trainer):
            with signals.holding():
                if resume:
                    trainer.resume()
                else:
                    trainer.start()
                display.busy("choosing how to compute")
                with timers.of("choosing how to compute"):
                    execution = choose_execution(trainer, resume=resume, given=manner.execution)
                with _profiled(trainer, manner.profile if group.first else 0):
                    train_with_fallback(trainer, execution)
            trainer.finish()
            group.finish()
            kept = _keep(plan, trainer, display)
            if type(trainer.model.latent.prior).fit is not Prior.fit and "sample" not in plan.refusals:
                _fit_prior(plan, trainer, kept, display)
    best = trainer.progress.best
    return TrainResult(trainer.model, kept, best.epoch if best else None, best.score if best else None, trainer.progress.total,
                       trainer.progress.seconds, device)


@contextmanager
def _worth_keeping(trainer: Trainer) -> Iterator[None]:
    """A new run stays when a batch was trained, or where a signal, bad data or NaN stopped it; of other failed starts nothing is left."""
    try:
        yield
    except (Interrupted, DataError, DivergedError):
        trainer.run.worth_keeping = True
        raise
    finally:
        trainer.run.worth_keeping |= trainer.progress.total > 0


def _compare(run: Run, now: dict[str, Any], display: Display) -> None:
    """Says what is not as it was when the run was last trained, which voids the promise of equal bits."""
    if not (run.folder / ENVIRONMENT).exists():
        return
    before = mapping_in(run.folder / ENVIRONMENT)
    for name in ("torch", "device_name", "threads", "python", "platform", "processes"):
        if before.get(name, 1 if name == "processes" else None) != now[name]:
            display.note(f"{name} was {before.get(name)!r} and is now {now[name]!r}: the last bits may differ from an unbroken run")


def _built(plan: Plan) -> Autoencoder:
    from aebuild.compile.build import build

    return build(plan, plan.spec.train.seed)


@contextmanager
def _own_generators(device: torch.device) -> Iterator[None]:
    """Keeps the caller's global random numbers as they are."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _heading(job: Job, device: torch.device) -> Heading:
    plan, words = job.plan, job.group.words
    place = f"{describe_device(device)}, {words}" if words else describe_device(device)
    steps = sum(clock_of(phase, len(job.splits.train)).total for phase in plan.phases)
    return Heading(plan.spec.name, plan.spec.data.variant_name() or "data", place, str(job.run.folder), plan.params,
                   steps, tuple(term.name for term in plan.terms), job.group.size)


@contextmanager
def _profiled(trainer: Trainer, steps: int) -> Iterator[None]:
    if not steps:
        yield
        return
    with Profile(steps, trainer.run.folder / "profile", trainer.device, trainer.display.note, trainer.timers) as trainer.profile:
        yield


@contextmanager
def _shown(heading: Heading, run: Run, display: Display, timers: Timers) -> Iterator[None]:
    run.log(f"training {heading.name} on {heading.data}, {heading.device}")
    display.start(heading)
    try:
        yield
        run.log("finished")
    except AebuildError as error:
        display.stop()
        with suppress(AebuildError):           # a full disk must not hide the message that says so
            run.log(f"stopped: {error}")
            run.log(str(timers))
        raise
    finally:
        display.stop()


def _keep(plan: Plan, trainer: Trainer, display: Display) -> str:
    """Puts the kept weights into the model and says which ones they are."""
    if plan.spec.train.keep == "last":
        return f"step-{trainer.progress.total}"
    best = trainer.progress.best
    if best is None:
        why = "there is no validation split" if trainer.judge is None else "nothing was trained since the objective changed"
        display.note(f"{why}, so the last weights are kept instead of the best")
        return f"step-{trainer.progress.total}"
    loaded = trainer.run.checkpoints.load("best", "step", upto=best.step, read=read_training)
    for reason in loaded.passed_over:
        display.note(f"{reason}; using `{loaded.name}`")
    fill(trainer.model, loaded)
    return loaded.name


def _fit_prior(plan: Plan, trainer: Trainer, kept: str, display: Display) -> None:
    """Fits the latent's prior to the codes of the training split and saves it with the kept weights."""
    trainer.model.latent.prior.fit(Codes(plan, trainer.model, trainer.loader))
    display.note(f"fitted a prior to the codes of {trainer.loader.samples:,} training samples, for `sample`")
    kind, step = kept.split("-")
    if kind == "best":
        trainer.state.writer.remember_best(trainer.model, trainer.progress.state(), int(step))
        trainer.state.writer.save_best()
    elif int(step) == trainer.progress.total:      # an older one stands in for a damaged best: the newest stays as it is
        trainer.save()
