"""Which way a training is computed: the one asked for, or of those measured on the real model and batch the fastest that agrees."""

from __future__ import annotations

import copy
import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from aebuild.modules.collectives import BatchPart, Imagined, sharing
from aebuild.trainer.device import out_of_memory
from aebuild.trainer.distributed.process_group import ALONE, ProcessGroup
from aebuild.trainer.phase import ActivePhase, clock_of, reseed_all
from aebuild.trainer.running_means import RunningMeans
from aebuild.trainer.speed.choice import FILE, Choice, Trial, asked, place_of, recall, remember, stored
from aebuild.trainer.speed.execution import Execution, candidates, exact

if TYPE_CHECKING:
    from pathlib import Path

    from aebuild.compile.plan import PhasePlan, Plan
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.batches.loader import SplitLoader
    from aebuild.trainer.loop import Trainer

WORTH = 30.0              # seconds: a shorter training is not worth measuring for
SHARE = 0.04              # of the expected training time may go into measuring,
AT_MOST = 60.0            # but not more seconds than this
BETTER = 1.03             # a plan must be this many times as fast to be taken
ROUNDS = 15               # pairs of measurements at most
TURN = (0.02, 0.15)       # seconds that one measurement lasts at least: in a short training, in a long one
TURNS = 300               # measurements that the time is shared out to, between these bounds
HOPELESS = 1.5            # a plan this many times slower in its first pairs is given up
TRIAL = 11                # steps that a trial takes at least: none is begun that the time left would not hold
LOOSE = (1e-2, 1e-1)      # what bfloat16, tf32 and reduced products may change: relative loss, relative norm of the gradient
TIGHT = (1e-4, 1e-2)      # what another order of float32 operations may
CHECKED = 3               # steps that checking a plan of an earlier training takes


def allowed(execution: Execution) -> tuple[float, float]:
    """How far loss and gradient of a plan may be off exact."""
    return TIGHT if (execution.precision, execution.matmul) == ("float32", "highest") else LOOSE


def choose_execution(trainer: Trainer, *, resume: bool, given: Execution | None) -> Execution:
    """The way to compute: the one given, that of the resumed run, exact, or the fastest of those measured.

    It is stored in the run and said. Of several processes the first one decides.
    """
    told: dict[str, Any] | None = None
    if trainer.group.first:
        told = _settled(trainer, resume=resume, given=given).to_json()
    return Execution.from_json(trainer.group.spread(told, trainer.device))


def _settled(trainer: Trainer, *, resume: bool, given: Execution | None) -> Execution:
    run, device, spec = trainer.run, trainer.device, trainer.plan.spec.train
    wanted = asked(trainer.plan)
    if given is not None:
        choice = Choice(given, "as given", wanted)
    elif resume and (run.folder / FILE).exists() and (before := stored(run.folder)).asked == wanted:
        return before.execution
    elif spec.speed == "exact" or trainer.group.sharded:
        reason = "as the spec wants" if spec.speed == "exact" else "a sharded model is not copied"
        choice = Choice(exact(device, spec.recompute), reason, wanted)
    else:
        try:
            choice = Autotuner(trainer.plan, trainer.model, trainer.loader, trainer.trainable, lambda: trainer.signals.caught is not None,
                           trainer.group).choose()
        except Exception as error:       # what exact trains is trained, whatever becomes of measuring
            why = "there is no memory for a copy to measure" if out_of_memory(error) else f"measuring failed: {_short(error)}"
            choice = Choice(exact(device, spec.recompute), why, wanted)
            trainer.say(str(choice))
    run.write(FILE, choice.to_json())
    for trial in choice.trials:
        run.log(f"speed: {trial}")
    if choice.trials or choice.reason.startswith("measured before"):
        trainer.say(str(choice))
    return choice.execution


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"


class Bench:
    """A copy of the model, trained for a few batches in one way."""

    def __init__(self, tuner: Autotuner, model: Autoencoder, execution: Execution) -> None:
        self.execution = execution
        self.tuner = tuner
        self.model = copy.deepcopy(model)
        execution.prepare(self.model)
        self.active = ActivePhase(tuner.plan, tuner.phase, self.model, tuner.trainable, tuner.loader.samples)
        self._done = 0
        with self._ready():
            self.active.enter(0)

    @contextmanager
    def _ready(self) -> Iterator[None]:
        with self.execution.applied(), sharing(self.tuner.part):
            self.active.engage(1, self.execution.workers)
            yield

    def gradients(self) -> tuple[list[float], list[torch.Tensor]]:
        """Loss of each player and all gradients of the first batch."""
        losses, found = [], []
        with self._ready():
            for number, player in enumerate(self.active.players):
                reseed_all(self.active.randoms, self.active.seed, 0)
                player.take_turn()
                if self.active.replicas is not None:
                    done = self.active.replicas.gradient(number, self.tuner.batch(0), 0, 0)
                else:
                    done = player.forward(self.tuner.batch(0), 0)
                    player.send_back(done)
                losses.append(float(done.loss.detach()))
                found += [parameter.grad.detach().double().flatten() for parameter in player.params if parameter.grad is not None]
        return losses, found

    def seconds(self, steps: int) -> float:
        """How long so many training steps take."""
        sums = RunningMeans()
        with self._ready():
            began = time.perf_counter()
            for _ in range(steps):
                self.active.run(self.tuner.batch(self._done), 0, 0, sums)
                self._done += 1
            if self.tuner.loader.device.type == "cuda":
                torch.cuda.synchronize()
            return (time.perf_counter() - began) / steps


class Autotuner:
    """LookInterval for the fastest way, one change at a time, on the phase with the most batches."""

    def __init__(self, plan: Plan, model: Autoencoder, loader: SplitLoader, trainable: frozenset[str], halted: Callable[[], bool],
                 group: ProcessGroup = ALONE) -> None:
        self.group = group
        self.plan, self.model, self.loader, self.trainable, self.halted = plan, model, loader, trainable, halted
        clocks = [(clock_of(phase, loader.samples).total, phase) for phase in plan.phases if phase.data == "samples"]
        self.batches = sum(count for count, _ in clocks)
        self.phase: PhasePlan = max(clocks, key=lambda each: each[0])[1]
        self.trials: list[Trial] = []
        self.asked = asked(plan)
        self.left = 0.0              # seconds for measuring
        self.turn = TURN[0]          # seconds of one measurement

    @property
    def rows(self) -> int:
        """How many samples of a batch this process has."""
        first, last = self.group.own(0, min(self.phase.batch_size, self.loader.samples))
        return max(1, last - first)

    @property
    def part(self) -> BatchPart | None:
        """What a measured batch is a part of: the other processes, which do not measure, count as if they had the same."""
        size = self.group.size
        return BatchPart(0, size, size * self.rows, Imagined(size)) if size > 1 else None

    def batch(self, number: int) -> Any:
        """One of the first batches of the data, as they lie."""
        size = self.rows
        start = number % max(1, min(8, self.loader.samples // size)) * size
        return self.loader.slice(start, start + size)

    def choose(self) -> Choice:
        """The plan to train with."""
        base = exact(self.loader.device, self.plan.spec.train.recompute)
        place = self._place()
        before = recall(place) if place is not None and SHARE * self.batches >= CHECKED else None
        if before is None and SHARE * self.batches < TRIAL:          # no trial could be begun
            return Choice(base, "the training is too short to measure", self.asked)
        began = time.perf_counter()
        settled = Bench(self, self.model, base)          # its first step draws codebooks from data; all trials start behind that
        first = settled.seconds(1)
        if before is not None and self._agrees(settled.model, base, before):
            return Choice(before, "measured before on this machine, and checked", self.asked)
        if first * self.batches < WORTH / 2 or (once := settled.seconds(self._steps(first))) * self.batches < WORTH:
            return Choice(base, "the training is too short to measure", self.asked)
        self.model = copy.deepcopy(settled.model)        # the same start for all that follow
        expected = once * self.batches
        self.left = min(AT_MOST, SHARE * expected) - (time.perf_counter() - began)          # the first steps count too
        self.turn = max(TURN[0], min(TURN[1], self.left / TURNS))
        best, total = settled, 1.0
        self.losses, self.gradients = Bench(self, self.model, base).gradients()
        patience = SHARE * expected if self.group.size == 1 else 0.0          # the compiler and torch's averaging of gradients are untried
        most = min(self.phase.batch_size, self.loader.samples) if self.group.size == 1 else 1
        for name, change in candidates(base, self.model, self.loader.device, patience, most):
            if self.left < TRIAL * once or self.halted():
                self.trials.append(Trial(name, "not tried: the time for measuring is used up"))
                continue
            began = time.perf_counter()
            better, gain = self._try(name, best, best.execution.but(**change))
            self.left -= time.perf_counter() - began
            if better is not None:
                best, total = better, total * gain
            gc.collect()
        if place is not None and not any(trial.verdict.startswith("not tried") for trial in self.trials):
            remember(place, Choice(best.execution, "measured", self.asked).to_json())
        taken = [trial.name for trial in self.trials if trial.verdict == "taken"]
        reason = f"{len(self.trials)} ways measured" + (f", taken: {', '.join(taken)}" if taken else ", none is faster")
        return Choice(best.execution, reason, self.asked, round(total, 3), round(1000 * once / total, 3), tuple(self.trials))

    def _place(self) -> Path | None:
        """Where the choice for this model is kept for other trainings; None where the user has no home."""
        try:
            return place_of(self.plan, self.phase, self.loader.device, self.group.size, self.asked)
        except RuntimeError:
            return None

    def _agrees(self, model: Autoencoder, base: Execution, other: Execution) -> bool:
        """True if a plan that was measured before runs, and gives the loss and gradient of exact."""
        start = copy.deepcopy(model)
        try:
            self.losses, self.gradients = Bench(self, start, base).gradients()
            return self._within(other, self._errors(*Bench(self, start, other).gradients()))
        except Exception as error:       # whatever a library raises: then it is measured anew
            self.trials.append(Trial("the plan of an earlier training", f"failed: {type(error).__name__}"))
            return False

    @staticmethod
    def _within(execution: Execution, errors: tuple[float, float]) -> bool:
        return all(error <= limit for error, limit in zip(errors, allowed(execution), strict=True))

    def _try(self, name: str, best: Bench, execution: Execution) -> tuple[Bench | None, float]:
        """The bench of a better plan and its gain over the best so far, or None; the verdict goes to `trials`."""
        try:
            bench = Bench(self, self.model, execution)
            errors = self._errors(*bench.gradients())
            if not self._within(execution, errors):
                limits = allowed(execution)
                self.trials.append(Trial(name, f"refused: loss or gradient differ by more than {limits[0]:g} or {limits[1]:g}",
                                         None, *errors))
                return None, 1.0
            gain = self._gain(best, bench)
        except Exception as error:       # whatever a library raises where a way is not to be had: exact trains all the same
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.trials.append(Trial(name, f"failed: {type(error).__name__}: {reason[:200]}"))
            return None, 1.0
        verdict = "taken" if gain >= BETTER else "not faster"
        self.trials.append(Trial(name, verdict, round(gain, 3), *errors))
        return (bench, gain) if gain >= BETTER else (None, 1.0)

    def _errors(self, losses: list[float], gradients: list[torch.Tensor]) -> tuple[float, float]:
        """Relative differences from exact: the losses' largest, and of all gradients together."""
        loss = max(abs(a - b) / max(abs(b), 1e-12) for a, b in zip(losses, self.losses, strict=True))
        off = sum(float((a - b).square().sum()) for a, b in zip(gradients, self.gradients, strict=True))
        size = sum(float(b.square().sum()) for b in self.gradients)
        return (loss, math.sqrt(off / max(size, 1e-300))) if math.isfinite(loss) else (math.inf, math.inf)

    def _gain(self, best: Bench, other: Bench) -> float:
        """How many times as fast the other is: the median of pairs measured in turn."""
        began = time.perf_counter()
        until, latest = began + self.left / 3, began + self.left
        best.seconds(1)
        other.seconds(2)
        steps = self._steps(best.seconds(1))
        ratios: list[float] = []
        while len(ratios) < ROUNDS and time.perf_counter() < (latest if len(ratios) < 3 else until) and not self.halted():
            ratios.append(best.seconds(steps) / other.seconds(steps))
            if len(ratios) >= 2 and max(ratios) * HOPELESS < 1:
                break
        return statistics.median(ratios) if len(ratios) >= 3 else min([1.0, *ratios])        # fewer prove no gain

    def _steps(self, seconds: float) -> int:
        return max(1, min(50, round(self.turn / max(seconds, 1e-6))))
