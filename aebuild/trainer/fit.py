"""Training from end to end: a plan and data in, a trained model and a run directory out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aebuild.lang.diagnostics import AebuildError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.randomness import derive, random_modules
from aebuild.trainer.device import choose_device, describe_device, environment, memory_guard
from aebuild.trainer.display import Display, Heading, Quiet
from aebuild.trainer.feed import Feed, batch_bounds
from aebuild.trainer.group import ALONE, Group
from aebuild.trainer.interrupt import Signals
from aebuild.trainer.keeper import fill
from aebuild.trainer.loop import Trainer
from aebuild.trainer.phase import reseed_all

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Splits
    from aebuild.trainer.run import Run


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


def train(plan: Plan, splits: Splits, run: Run, *, resume: bool = False, display: Display | None = None,
          model: Autoencoder | None = None, group: Group = ALONE) -> TrainResult:
    """Trains what the plan says and leaves everything in the run directory.

    `model` replaces the freshly built one; `group` are the processes to train with, all but the first of which end here
    (Silent). With `resume` the training goes on at the very step of the newest good
    checkpoint; a training that was finished is loaded again. Raises ResourceError, DivergedError, CheckpointError, and
    Interrupted after a signal, when everything is saved.
    """
    display = display or Quiet()
    device = choose_device(plan.spec.train.device)
    now = {**environment(device, plan.spec.train.seed), "processes": group.size}
    if resume and group.first:
        _compare(run, now, display)
    run.write("environment.json", now)
    batch_size = max(phase.batch_size for phase in plan.phases)
    with _own_generators(device), Signals() as signals, _shown(plan, run, device, display, group), memory_guard(plan, batch_size):
        trainer = Trainer(plan, model or _built(plan), splits, run, display, device, signals, group)
        if resume:
            trainer.resume()
        else:
            trainer.start()
        trainer.loop()
        trainer.finish()
        group.finish()
        kept = _keep(plan, trainer, display)
        if callable(getattr(trainer.model.latent, "fit", None)):
            _fit_latent(plan, trainer, kept, display)
    best = trainer.progress.best
    return TrainResult(trainer.model, kept, best.epoch if best else None, best.score if best else None, trainer.progress.total,
                       trainer.progress.seconds, device)


def _compare(run: Run, now: dict[str, Any], display: Display) -> None:
    """Says what is not as it was when the run was last trained, which voids the promise of equal bits."""
    try:
        before = json.loads((run.folder / "environment.json").read_bytes())
    except (OSError, ValueError):
        return
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


@contextmanager
def _shown(plan: Plan, run: Run, device: torch.device, display: Display, group: Group) -> Iterator[None]:
    kind = plan.spec.data.variant_name() or "data"
    place = f"{describe_device(device)}, {group.words}" if group.words else describe_device(device)
    run.log(f"training {plan.spec.name} on {kind}, {place}")
    display.start(Heading(plan.spec.name, kind, place, str(run.folder)))
    try:
        yield
        run.log("finished")
    except AebuildError as error:
        display.stop()
        with suppress(AebuildError):           # a full disk must not hide the message that says so
            run.log(f"stopped: {error}")
        raise
    finally:
        display.stop()


def _keep(plan: Plan, trainer: Trainer, display: Display) -> str:
    """Puts the kept weights into the model and says which ones they are."""
    if plan.spec.train.keep == "last":
        return "last"
    if trainer.judge is None:
        display.note("there is no validation split, so the last weights are kept instead of the best")
        return "last"
    loaded = trainer.run.checkpoints.load("best", "last")
    for reason in loaded.passed_over:
        display.note(f"{reason}; using `{loaded.name}`")
    fill(trainer.model, loaded)
    return loaded.name.removesuffix("-before")


def _fit_latent(plan: Plan, trainer: Trainer, kept: str, display: Display) -> None:
    """Fits the latent's prior to the codes of the training split and saves it with the kept weights."""
    codes = training_codes(plan, trainer.model, trainer.feed)
    with torch.no_grad():
        trainer.model.latent.fit(codes)
    display.note(f"fitted a prior to the codes of {len(codes):,} training samples, for `sample`")
    if kept == "best":
        trainer.keeper.remember_best(trainer.model, trainer.progress.state())
        trainer.keeper.save_best()
    else:
        trainer.save()


@torch.no_grad()
def training_codes(plan: Plan, model: Autoencoder, feed: Feed) -> Tensor:
    """The codes of a whole split, [N, ...], in evaluation mode."""
    model.eval()
    randoms, found = random_modules(model), []
    for number, (start, stop) in enumerate(batch_bounds(feed.samples, plan.phases[-1].batch_size)):
        reseed_all(randoms, derive(plan.spec.train.seed, "codes"), number)
        found.append(model.encode(feed.slice(start, stop).x).value)
    return torch.cat(found)
