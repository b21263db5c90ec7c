"""The loop: phase by phase, epoch by epoch, batch by batch, player by player."""

from __future__ import annotations

import math
import time
from contextlib import closing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.sync_batch_norm import part_norms, share_norms
from aebuild.trainer.batches.codes import Codes, CodesLoader
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.checkpoints.initial import check_losses, learn_beforehand, take_weights
from aebuild.trainer.checkpoints.trainer_state import Best, Progress, TrainerState
from aebuild.trainer.distributed.fsdp import shard
from aebuild.trainer.epoch_health import HealthWatch
from aebuild.trainer.gradients import apart
from aebuild.trainer.nonfinite import NonfiniteWatch, diagnosed, finite_parameters
from aebuild.trainer.phase import ActivePhase, clock_of, measure
from aebuild.trainer.profiling.utilisation import UtilisationMeter
from aebuild.trainer.progress.display import EpochReport, Status
from aebuild.trainer.progress.throughput import LookInterval, Throughput
from aebuild.trainer.running_means import RunningMeans, finite
from aebuild.trainer.signals import Interrupted
from aebuild.trainer.snapshots import Snapshots, due
from aebuild.trainer.teaching import teach, untaught

if TYPE_CHECKING:
    from aebuild.trainer.job import Job
    from aebuild.trainer.profiling.profiler import Profile


class Trainer:
    """Trains a model by its plan, from the beginning or from a checkpoint.

    Nothing in a step waits for the device. A few times a second the trainer looks: are all numbers finite, did a signal
    come, is a checkpoint due, what should the display say.
    """

    def __init__(self, job: Job, model: Autoencoder, device: torch.device) -> None:
        self.plan, self.run, self.display, self.device, self.signals = job.plan, job.run, job.display, device, job.signals
        self.timers, self.group = job.timers, job.group
        if self.group.size > 1:
            share_norms(model)
        if self.group.sharded:
            # takes layer by layer to the device, which never holds the whole model
            shard(model, self.group.size, device, balanced=self.plan.spec.losses.bound.balances)
        self.model = model.to(device)
        teach(job, model, device)
        self.loader = SplitLoader(job.splits.train, device)
        validation = job.splits.validation
        self.judge = SplitLoader(validation, device) if validation is not None and len(validation) else None
        self.snapshots = Snapshots(self.plan, self.run, self.judge or self.loader) if self.group.size == 1 else None
        self._coded: dict[str, CodesLoader] = {}           # of the phase that trains on codes
        self.trainable = frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)
        self.progress = Progress()
        self.sums = RunningMeans(self.group)
        self.active: ActivePhase | None = None
        self.watch: NonfiniteWatch | None = None
        self.profile: Profile | None = None
        self.parts = self.workers = 1  # that a batch is computed in: one after the other, or side by side
        self.validation: dict[str, float] = {}
        self.totals = sum(clock_of(phase, self.loader.samples).total for phase in self.plan.phases)
        self.meter = UtilisationMeter(self.plan, device, self.run, self.timers)
        self.state = TrainerState(self, job.manner.save_every)
        check_losses(self.plan, self.model, self.loader)
        self.health = HealthWatch(self)
        self._interval = LookInterval(self.group)
        self._throughput = Throughput(self.timers)
        self._afterwards = job.afterwards

    def start(self) -> None:
        """Saves the untrained model: the disk is proved, and there is something to go back to."""
        learn_beforehand(self.plan, self.model.likelihood, self.loader)
        self.state.begin()
        self.save()

    def resume(self) -> None:
        """Takes up the newest good checkpoint; CheckpointError if there is none."""
        name, damaged = self.state.take_up()
        for reason in damaged:
            self.say(f"{reason}; going on from `{name}`")
        if self.group.first:
            self.run.checkpoints.forget_after(self.progress.total)

    def loop(self, until: float = math.inf) -> None:
        """Trains what is left, or up to a batch of the run; DivergedError, Interrupted, ResourceError if it cannot end."""
        progress = self.progress
        while progress.phase < len(self.plan.phases) and progress.total < until:
            active = self.active = self.active or self.activate()
            active.engage(self.parts, self.workers)
            if self._over(active) and not self.sums and progress.phase + 1 == len(self.plan.phases):
                return                   # it was finished before
            active.enter(progress.step)
            if self.sums and active.clock.last_of_epoch(progress.step):
                self._finish_epoch(active)
            while not self._over(active) and progress.total < until:
                self._run_epoch(active)
            if not self._over(active) or not self._next_phase(active):
                return

    def _over(self, active: ActivePhase) -> bool:
        """True if the phase has had all its batches, or epochs enough without a better score.

        Where steps are only repeated to find NaN no score is taken, and the phase goes on.
        """
        patience, best, progress = active.plan.patience, self.progress.best, self.progress
        epochs, begun = divmod(progress.step, active.clock.per_epoch)
        stalled = patience is not None and best is not None and not begun and self.watch is None and epochs - best.epoch >= patience
        return stalled or progress.step >= active.clock.total

    def finish(self) -> None:
        """Leaves the model as it was built, in evaluation mode, its parameters trainable; a sharded one is put together first."""
        if self.active is not None and self.active.average is not None:
            self.active.average.show()
        self.state.put_together()
        part_norms(self.model)
        untaught(self.model)
        self.model.eval()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in self.trainable)

    def activate(self) -> ActivePhase:
        """The phase that is to run, with fresh optimisers; its data, if they are codes, and the weights that it begins with."""
        phase = self.plan.phases[self.progress.phase]
        self._coded.clear()
        if phase.start is not None and self.progress.step == 0 and self.watch is None:
            self.say(take_weights(self.model, phase.start, self.device))
        if phase.data == "codes":
            codes, classes = self.plan.latent.codes, getattr(self.plan.latent.codes, "classes", None)
            self.say(f"phase {phase.name} trains on the codes of the training samples, {codes}")
            for name, loader in (("train", self.loader), ("validation", self.judge)):
                if loader is not None:
                    self._coded[name] = CodesLoader(Codes(self.plan, self.model, loader), classes, self.device)
        return ActivePhase(self.plan, phase, self.model, self.trainable, self.loader.samples, self.group)

    def _run_epoch(self, active: ActivePhase) -> None:
        progress, loader, clock = self.progress, self._coded.get("train", self.loader), active.clock
        epoch, begun = divmod(progress.step, clock.per_epoch)
        order = loader.shuffled(active.seed, f"{progress.phase}.{active.plan.name}", epoch)
        run = active.run if self.watch is None else partial(self.watch.run, active)
        self._throughput.go()
        bounds = active.bounds[begun:clock.total - epoch * clock.per_epoch]
        marked = bounds if self.profile is None else self.profile.over(bounds, active, loader, self.sums)
        shares = (order[first:last] for first, last in (self.group.own(start, stop) for start, stop in bounds))
        with closing(loader.batches(shares)) as batches:
            for (start, stop), batch in zip(marked, batches, strict=True):
                with self.group.part(stop - start):
                    progress.tick = run(batch, progress.step, progress.tick, self.sums)
                progress.step += 1
                progress.total += 1
                self._throughput.samples += stop - start
                if self._interval.due(progress.total, self.signals.caught) or self.state.writer.counts(progress.total):
                    self._look(active)
        self._finish_epoch(active)

    def _look(self, active: ActivePhase) -> None:
        began = time.perf_counter()
        if self.watch is None:
            means, _ = apart(self.sums.means())      # waits for the device, so that its work is charged to training
            before = self.timers.turn("display")
            if not finite(means):
                raise diagnosed(self, active)
            self._interval.done(self.progress.total, began)
            self._heed(active)
            self.display.update(self._status(active, self._with_loss(active, means)))
            if self.state.due():
                self._save(active)
            self.timers.turn(before)
        else:
            self._interval.done(self.progress.total, began)
            self._heed(active)

    def _finish_epoch(self, active: ActivePhase) -> None:
        means, gradients = apart(self.sums.means())
        self._throughput.rest()
        if self.watch is None and not (finite(means) and self._finite_parameters()):
            raise diagnosed(self, active)
        with self.timers.of("validation"), active.resting(), active.averaged():
            judged = {} if self.judge is None else measure(self.plan, active.plan, self.model,
                                                           self._coded.get("validation", self.judge), self.group,
                                                           lambda _: self._heed(active))
            if self.snapshots is not None and self.watch is None and active.plan.data == "samples":
                self._snapshot(self.snapshots, active)
        self._throughput.judged += self.judge.samples if self.judge is not None else 0
        if self.watch is None and not finite(judged):
            raise diagnosed(self, active, judged)
        score = active.score(judged or means)
        for player in active.players:
            player.rate.epoch_done(score)
        if self.watch is None:
            self._record(active, means, judged, score, gradients)
        self.sums.clear()
        active.enter(self.progress.step)
        if self.watch is None and not self._over(active) and self.state.due():
            self._save(active)

    def _snapshot(self, snapshots: Snapshots, active: ActivePhase) -> None:
        epoch = -(-self.progress.step // active.clock.per_epoch)
        if due(epoch) or self._over(active):
            snapshots.take(self.model, active.plan.name, epoch, self.progress.total)

    def _record(self, active: ActivePhase, means: dict[str, float], judged: dict[str, float], score: float,
                gradients: dict[str, float]) -> None:
        """Metrics to the run and the display, and the model if it is the best so far."""
        progress = self.progress
        epoch = -(-progress.step // active.clock.per_epoch)
        means, self.validation = self._with_loss(active, means), self._with_loss(active, judged)
        progress.seconds += self._throughput.lap()
        better = self.judge is not None and (progress.best is None or score < progress.best.score)
        if better:
            progress.best = Best(score, epoch, progress.total)
            with active.averaged():
                self.state.remember_best()
        if self.group.first:
            health = self.health.look(active, means, judged, gradients) if active.plan.pair is None else []
            self._write(active, means, judged, score, better, {"gradients": gradients, "health": [each.to_json() for each in health]})
            for each in health:
                self.say(str(each))
        status = self._status(active, means)
        with self.timers.of("display"):
            self.display.epoch(EpochReport(status, better, last=self._over(active)))

    def _write(self, active: ActivePhase, means: dict[str, float], judged: dict[str, float], score: float, better: bool,
               more: dict[str, Any]) -> None:
        progress = self.progress
        head = {"phase": active.plan.name, "epoch": -(-progress.step // active.clock.per_epoch), "step": progress.total}
        self.run.journal.append({**head, "split": "train", **self._told(means), "lr": active.rates(),
                                 "seconds": round(progress.seconds, 3), "samples_per_second": round(self._throughput.speed, 1),
                                 **{name: value for name, value in more.items() if value}})
        if judged:
            told = self._told(self.validation)
            self.run.journal.append({**head, "split": "validation", **told, "score": score, "best": better})

    def _next_phase(self, active: ActivePhase) -> bool:
        """On to the next phase, with its own optimisers and scores; False after the last, which stays as it ended.

        So the last checkpoint of a finished training still holds all that longer training would need.
        """
        progress, name, patience = self.progress, active.plan.name, active.plan.patience
        if progress.step < active.clock.total:
            self.say(f"phase {name} ends after epoch {progress.step // active.clock.per_epoch} of {active.clock.epochs}: "
                     f"no better validation score for {patience} epoch{'s'[:patience != 1]}")
        last = progress.phase + 1 == len(self.plan.phases)
        if not last:
            if active.average is not None:
                active.average.show()              # what the next phase goes on from
            self.active, self.validation, progress.best = None, {}, None
            progress.phase += 1
            progress.step = 0
        if self.watch is None:
            self.save()
            caught, = self.group.agree(self.signals.caught or 0)
            if caught:
                raise Interrupted(caught, f"at the end of phase {name}", self.run.resume_command)
        return not last

    def _heed(self, active: ActivePhase) -> None:
        """Saves and stops if a signal came; where steps are only repeated to find NaN there is nothing to save."""
        caught, = self.group.agree(self.signals.caught or 0)
        if caught:
            if self.watch is None:
                self.say("stopping: saving the run; once more stops at once")
                self._save(active, wait=True)
            raise Interrupted(caught, f"in {self.place(active)}", self.run.resume_command)

    def _save(self, active: ActivePhase, *, wait: bool = False) -> None:
        if not self._finite_parameters():
            raise diagnosed(self, active)
        self.save(wait=wait)

    def _finite_parameters(self) -> bool:
        return not self.group.agree(int(not finite_parameters(self.model)))[0]

    def save(self, *, wait: bool = True) -> None:
        """Has the best model written if it changed, and the whole state; `wait` until the disk has it."""
        self.progress.seconds += self._throughput.lap()
        with self.timers.of("saving"), nullcontext() if self.active is None else self.active.averaged():
            self.state.save(wait=wait)
        self.display.checkpoint(self.progress.total)

    def _with_loss(self, active: ActivePhase, means: dict[str, float]) -> dict[str, float]:
        return {"loss": active.objective.now(means, max(0, self.progress.step - 1)), **means} if means else {}

    def _told(self, means: dict[str, float]) -> dict[str, Any]:
        """Loss, terms and metrics apart, as metrics.jsonl has them."""
        names = {term.name for term in self.plan.terms}
        return {"loss": means["loss"], "terms": {name: value for name, value in means.items() if name in names},
                "metrics": {name: value for name, value in means.items() if name not in names and name != "loss"}}

    def place(self, active: ActivePhase) -> str:
        """Phase, epoch and step in words."""
        step = self.progress.step
        epoch = min(step // active.clock.per_epoch + 1, active.clock.epochs)
        return f"phase {active.plan.name}, epoch {epoch}, step {step:,}"

    def _status(self, active: ActivePhase, means: dict[str, float]) -> Status:
        progress, clock = self.progress, active.clock
        validated = self.judge.samples * -(-(clock.total - progress.step) // clock.per_epoch) if self.judge is not None else 0
        left = self._throughput.left(progress.total, self.totals - progress.total, validated, self._afterwards)
        epoch = -(-progress.step // clock.per_epoch)
        return Status(active.plan.name, progress.phase + 1, len(self.plan.phases), epoch, clock.epochs, progress.step, clock.total,
                      progress.total, self.totals, self._throughput.speed, left, means, self.validation,
                      progress.best.epoch if progress.best else None, self.meter.memory,
                      self.meter.utilisation(active.plan, self._throughput.samples // self.group.size, self._throughput.trained,
                                             active.resting()))

    def say(self, text: str) -> None:
        """Tells the user, and the log."""
        self.run.log(text)
        self.display.note(text)
