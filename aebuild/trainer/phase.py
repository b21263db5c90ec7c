"""The phase that runs: its players in turn, what is frozen, what is in training mode."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from aebuild.lang.diagnostics import DataError, Diagnostic, Rule
from aebuild.lang.schedule import Ramp
from aebuild.lang.terms import AUTOENCODER, Penalty
from aebuild.modules.autoencoder import Autoencoder, Pair
from aebuild.modules.collectives import portion, repeated, whole
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.randomness import derive, random_modules, reseed
from aebuild.trainer.averaging import WeightAverage
from aebuild.trainer.batches.loader import Loader, batch_bounds
from aebuild.trainer.distributed.process_group import ALONE, ProcessGroup
from aebuild.trainer.forward_passes import Passes
from aebuild.trainer.gradients import gradient_sizes
from aebuild.trainer.lr import Clock
from aebuild.trainer.objective import LAST, Objective
from aebuild.trainer.players import ActivePlayer, under
from aebuild.trainer.running_means import RunningMeans
from aebuild.trainer.speed.cpu_replicas import CpuReplicas, replica_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from aebuild.compile.plan import PhasePlan, Plan

UNTOLD = Rule("AE388", "judged by a figure that no sample tells", """\
Some figures are of some samples only: the accuracy of a head needs a known label. Where the validation split has none, epochs cannot
be judged by it.

```console
$ aebuild train spec.yaml --set train.judge.by=digit_accuracy      # no label of the validation split is known: refused
$ aebuild train spec.yaml --set train.judge.by=loss
```
""")
BIGGER = 4        # times the batch size; measured on a CPU: 1.05 (convolutions, 256) to 2 (dense, 32) times as fast


def clock_of(plan: PhasePlan, samples: int) -> Clock:
    """How many batches the phase has; the shorter count where both are given."""
    per_epoch = len(batch_bounds(samples, plan.batch_size))
    by_epochs = [] if plan.epochs is None else [plan.epochs * per_epoch]
    return Clock(per_epoch, min(by_epochs + ([] if plan.steps is None else [plan.steps])))


def passes(plan: Plan, phase: PhasePlan, samples: int) -> list[tuple[int, int]]:
    """The batches of a pass without gradients."""
    return batch_bounds(samples, pass_size(plan, phase))


def pass_size(plan: Plan, phase: PhasePlan) -> int:
    """Samples in a batch without gradients, which takes a fraction of the memory: more of them, unless a loss depends on them."""
    across = any(isinstance(term.config, Penalty) and term.config.across for term in plan.terms)
    return phase.batch_size * (1 if across else BIGGER)


def reseed_all(randoms: Any, seed: int, tick: int) -> None:
    """Seeds every random module, and torch's own generators for layers of torch that draw from them."""
    reseed(randoms, seed, tick)
    torch.default_generator.manual_seed(derive(seed, "torch", tick))
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed(derive(seed, "torch", tick))


class ActivePhase:
    """One phase with live optimisers.

    Only parameters under a player's modules can move. Modules outside them are in evaluation mode, so that a frozen layer keeps
    its running statistics and drops nothing; corruptions and penalties that hold no state always train.
    """

    def __init__(self, plan: Plan, phase: PhasePlan, model: Autoencoder, trainable: frozenset[str], samples: int,
                 group: ProcessGroup = ALONE) -> None:
        self.plan = phase
        self.model = model
        self.seed = plan.spec.train.seed
        self.clock = clock_of(phase, samples)
        self.bounds = batch_bounds(samples, phase.batch_size)
        pair = Pair(*phase.pair) if phase.pair is not None else None
        self.passes = passes_of(plan, phase, model, pair)
        movable = frozenset(name for name in trainable if not under(name, phase.freeze))
        self.players = [ActivePlayer(player, objective_of(plan, player.terms, self.clock, phase), model, movable, self.clock, self.passes,
                                     phase.rates) for player in phase.players]
        moved = {id(parameter): parameter for player in self.players for parameter in player.params}
        self.average = None if phase.average is None else WeightAverage(list(moved.values()), phase.average, self.clock)
        self.randoms = random_modules(model)
        self._paths = [path for player in phase.players for path in player.modules]
        self._frozen = phase.freeze
        modules = dict(model.named_modules(remove_duplicate=False))
        self._dials = [(modules[dial.path], dial.attribute, dial.dial) for dial in plan.dials]
        self._moving = [dial for dial in self._dials if isinstance(dial[2], Ramp | list)]
        self._set_rivals()
        self.group = group
        self.parts = 1                 # that a batch is computed in, one after the other
        self.replicas: CpuReplicas[ActivePhase] | None = None  # which computes parts side by side instead
        self._twin = partial(ActivePhase, plan, phase, trainable=trainable, samples=samples)
        if group.size > 1:
            self._join()

    def _join(self) -> None:
        for player in self.players:
            for parameter in self.model.parameters():
                parameter.requires_grad_(False)
            for parameter in player.params:
                parameter.requires_grad_(True)
            player.join(self.group)

    def engage(self, parts: int, workers: int) -> None:
        """From now on a batch is computed in so many parts one after the other, or in as many as there are workers side by side."""
        self.parts, before = parts, 1 if self.replicas is None else len(self.replicas.phases)
        if workers != before:
            others = [self._twin(model=replica_of(self.model)) for _ in range(1, workers)]
            for twin in others:
                for player, own in zip(twin.players, self.players, strict=True):
                    player.objective.share(own.objective)
            self.replicas = CpuReplicas([self, *others]) if workers > 1 else None

    def resting(self) -> AbstractContextManager[None]:
        """While entered, nothing of a batch is computed beside this thread, which then has all cores."""
        return nullcontext() if self.replicas is None else self.replicas.resting()

    @property
    def _all(self) -> list[ActivePhase]:
        return [self] if self.replicas is None else self.replicas.phases

    @property
    def objective(self) -> Objective:
        """The first player's objective, by which the phase is judged."""
        return self.players[0].objective

    def _set_rivals(self) -> None:
        for player in self.players:
            own = set(map(id, player.params))
            others = [p for other in self.players if other is not player for p in other.params if id(p) not in own]
            player.rivals = list({id(parameter): parameter for parameter in others}.values())

    def enter(self, step: int) -> None:
        """Freezes what is not trained, sets the modes, and sets every dial to its value at this batch."""
        for phase in self._all:
            phase._enter(step)

    def _enter(self, step: int) -> None:
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        for player in self.players:
            for parameter in player.params:
                parameter.requires_grad_(True)
        self.model.eval()
        for name, module in self.model.named_modules():
            module.training = name == "" or (under(name, self._paths) and not under(name, self._frozen))
        for module in (*self.model.corruptions, *dict(self.model.penalties.items()).values()):
            if not module.state_dict():
                module.train()
        self._turn(self._dials, step)

    def _turn(self, dials: Iterable[tuple[nn.Module, str, Any]], step: int) -> None:
        for module, attribute, dial in dials:
            setattr(module, attribute, self.clock.dial(dial, step))

    def begin(self, step: int) -> None:
        """Sets the dials that move to their values at this batch of the phase."""
        for phase in self._all:
            phase.passes.begin()
            if phase._moving:
                phase._turn(phase._moving, step)

    def run(self, batch: Batch, step: int, tick: int, sums: RunningMeans) -> int:
        """All updates of all players from one batch; returns the tick after them."""
        samples = whole(batch.x.shape[0])
        self.begin(step)
        for number, player in enumerate(self.players):
            for _ in range(player.plan.steps):
                beside = None if self.replicas is None else partial(self.replicas.gradient, number, batch, step, tick)
                done = player.update(batch, step, partial(reseed_all, self.randoms, self.seed, tick), self.parts, beside)
                tick += 1
            sums.add(done.names, done.values, samples)
            player.rate.batch_done()
        if self.average is not None:
            self.average.update(step)
        if self.clock.last_of_epoch(step + 1):
            sums.add(*gradient_sizes(self.players), samples)
        return tick

    def score(self, means: dict[str, float]) -> float:
        """What the phase judges an epoch by, lower is better; DataError where these samples do not tell."""
        judge = self.plan.judge
        if judge is None or judge.by == "loss":
            return self.objective.score(means)
        if judge.by not in means:
            raise DataError(Diagnostic(UNTOLD, f"no sample of the validation split tells {judge.by}", fix="train: {judge: loss}"))
        return -means[judge.by] if judge.best == "highest" else means[judge.by]

    def averaged(self) -> AbstractContextManager[None]:
        """While entered, the model is what the phase has made of it: where weights are averaged, their average."""
        return nullcontext() if self.average is None else self.average.showing()

    def rates(self) -> dict[str, float]:
        """The learning rate of each player's last update."""
        return {player.plan.name: player.rate.now for player in self.players}

    def state(self) -> dict[str, Any]:
        """For a checkpoint: every player's optimiser and rate."""
        return {player.plan.name: player.state() for player in self.players}

    def load(self, state: dict[str, Any], *, revised: bool = False) -> None:
        """The state of a checkpoint; `revised` if the spec has changed since."""
        for player in self.players:
            player.load(state[player.plan.name], revised=revised)


def objective_of(plan: Plan, names: Iterable[str], clock: Clock, phase: PhasePlan | None = None) -> Objective:
    """The objective of a player of these terms; layer by layer they are only added."""
    bound = None if phase is not None and phase.pair is not None else plan.spec.losses.bound
    return Objective([plan.term(name) for name in names], clock, bound)


def passes_of(plan: Plan, phase: PhasePlan, model: Autoencoder, pair: Pair | None) -> Passes:
    """The forward passes of a phase."""
    draws = None if pair is not None else plan.spec.losses.bound.draws
    return Passes(model, pair, draws, shared=any(not player.through for player in phase.players), codes=phase.data == "codes")


@torch.no_grad()
def measure(plan: Plan, phase: PhasePlan, model: Autoencoder, feed: Loader, group: ProcessGroup = ALONE,
            between: Callable[[Outputs], object] = lambda _: None) -> dict[str, float]:
    """Mean terms and metrics of every player over a split, in evaluation mode, unweighted, from one pass a batch.

    Noise is drawn from (seed, batch), the same at every call, so that two measurements differ by the weights only. The
    model is left in evaluation mode. `between` is called after each batch and may raise.
    """
    pair = Pair(*phase.pair) if phase.pair is not None else None
    objective = objective_of(plan, [name for player in phase.players for name in player.terms], Clock(1, 1), phase)
    forward = passes_of(plan, phase, model, pair)
    return measured(plan, model, objective, forward, passes(plan, phase, feed.samples), feed, group, between)


@torch.no_grad()
def measured(plan: Plan, model: Autoencoder, objective: Objective, forward: Passes, bounds: list[tuple[int, int]], feed: Loader,
             group: ProcessGroup, between: Callable[[Outputs], object]) -> dict[str, float]:
    """Mean terms of an objective and metrics over a split."""
    model.eval()
    sums, randoms = RunningMeans(group), random_modules(model)
    batches = feed.passing([group.own(start, stop) for start, stop in bounds])
    for number, ((start, stop), batch) in enumerate(zip(bounds, batches, strict=True)):
        with group.part(stop - start):
            reseed_all(randoms, derive(plan.spec.train.seed, "measure", AUTOENCODER), number)
            forward.begin()
            raw, outputs = forward.losses(batch, objective.names, through=True)
            with repeated(outputs.draws):
                reduced = objective.reduced(raw, LAST, outputs.draws, batch.weights)
            sums.add((*reduced, *outputs.metrics), [*reduced.values(), *map(portion, outputs.metrics.values())], stop - start)
        between(outputs)
    return sums.means()
