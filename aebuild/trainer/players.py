"""A player at work: its parameters, its terms, its optimiser."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.bent import along
from aebuild.modules.collectives import BatchPart, portion, repeated, sharing
from aebuild.modules.outputs import Batch
from aebuild.trainer.distributed.fsdp import divided, local
from aebuild.trainer.distributed.process_group import MultiProcessGroup, ProcessGroup
from aebuild.trainer.forward_passes import Passes
from aebuild.trainer.lr import Clock, LearningRate
from aebuild.trainer.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from aebuild.compile.plan import PlayerPlan


def under(name: str, paths: Iterable[str]) -> bool:
    """True if a dotted name is one of these paths or stands below one."""
    return any(name == path or name.startswith(f"{path}.") for path in paths)


@dataclass
class Forward:
    """One forward pass of a player: its loss, and the scalars to log under their names.

    `slopes` are squared norms of the terms' gradients, where they are balanced by them.
    """

    loss: Tensor
    names: tuple[str, ...]
    values: list[Tensor]
    terms: dict[str, Tensor]
    slopes: dict[str, Tensor] = field(default_factory=dict)


def joined(found: Sequence[Forward]) -> Forward:
    """What the parts of a batch amount to: portions add up."""
    values = [torch.stack(every).sum(0) for every in zip(*(done.values for done in found), strict=True)]
    slopes = {name: torch.stack([done.slopes[name] for done in found]).sum() for name in found[0].slopes}
    return replace(found[0], loss=torch.stack([done.loss.detach() for done in found]).sum(), values=values, terms={}, slopes=slopes)


def grouped(named: list[tuple[str, nn.Parameter]], rates: Mapping[str, float]) -> tuple[list[tuple[str, nn.Parameter]], list[Any]]:
    """Parameters in the order of their groups, and what an optimiser is made of: a group for each factor of the learning rate.

    The longest path that a parameter stands under decides; where no factor is given there are the parameters alone.
    """
    def factor(name: str) -> float:
        found = [path for path in rates if under(name, (path,))]
        return rates[max(found, key=len)] if found else 1.0

    factors = sorted({factor(name) for name, _ in named}, key=lambda each: (each != 1.0, each))
    if factors in ([], [1.0]):
        return named, [parameter for _, parameter in named]
    groups = [[(name, parameter) for name, parameter in named if factor(name) == each] for each in factors]
    return [pair for group in groups for pair in group], [
        {"params": [parameter for _, parameter in group], "factor": each} for group, each in zip(groups, factors, strict=True)]


class ActivePlayer:
    """A player of the phase that runs: the parameters under its modules and the optimiser that moves them."""

    def __init__(self, plan: PlayerPlan, objective: Objective, model: Autoencoder, trainable: frozenset[str], clock: Clock,
                 passes: Passes, rates: Mapping[str, float] | None = None) -> None:
        self.plan = plan
        self.model = model
        self.passes = passes
        named = [(name, p) for name, p in model.named_parameters() if name in trainable and under(name, plan.modules)]
        self.named, groups = grouped(named, rates or {})
        self.params = [parameter for _, parameter in self.named]
        self.optimizer = plan.optimizer.build_optimizer(groups)
        for group in self.optimizer.param_groups:
            group["lr"] *= group.get("factor", 1.0)
        if any(parameter is not local(parameter) for parameter in self.params):
            for group in self.optimizer.param_groups:
                group["fused"] = None               # torch has no fused steps for divided weights
        self.rate = LearningRate(plan.optimizer, self.optimizer, clock)
        self.objective = objective
        self.objective.to(next(model.parameters()).device)
        self.rivals: list[nn.Parameter] = []       # parameters of the other players, frozen while it is this one's turn
        self._renewing: list[Any] = [module for module in model.modules() if hasattr(module, "renewed")]
        self._together: nn.Module | None = None
        self._turn = Turn(self)

    def join(self, group: ProcessGroup) -> None:
        """Lets torch average the gradients over the processes, while they come; call it with only own parameters trainable."""
        if isinstance(group, MultiProcessGroup):
            self._turn.processes = group.size
            if group.sharded:                      # then the model's own hooks do it, and divide by the processes too
                self._together = self._turn
                return
            # slopes of convolutions come with other strides, which costs a copy
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)       # the option has another name from torch 2.13 on
                # a greedy phase may leave parameters unused; buffers are kept equal by the modules themselves
                self._together = DistributedDataParallel(self._turn, broadcast_buffers=False, find_unused_parameters=True)

    def update(self, batch: Batch, step: int, reseed: Callable[[], None], parts: int = 1,
               beside: Callable[[], Forward] | None = None) -> Forward:
        """One update of the player's parameters from one batch, computed in so many parts one after the other.

        `reseed` puts the random numbers to the beginning of this update; `beside` computes the gradient in its own way.
        """
        if self.rivals:
            self.take_turn()
        reseed()
        if beside is not None:
            done = beside()
        elif parts > 1:
            done = self._in_parts(batch, step, reseed, parts)
        else:
            done = self.ahead(batch, step)
            self.send_back(done)
        self.apply(step)
        return self.learn(done)

    def learn(self, done: Forward) -> Forward:
        """Lets a bound learn from a batch; the pass with what is to be logged of the bound."""
        figures = self.objective.observe(dict(zip(done.names, done.values, strict=True)), done.slopes)
        return replace(done, names=(*done.names, *figures), values=[*done.values, *map(portion, figures.values())]) if figures else done

    def _in_parts(self, batch: Batch, step: int, reseed: Callable[[], None], parts: int) -> Forward:
        """The gradient and the values of the whole batch, added up; every part draws the whole batch's noise and takes its rows."""
        self.optimizer.zero_grad(set_to_none=True)
        rows = batch.x.shape[0]
        found: list[Forward] = []
        for number in range(min(parts, rows)):
            part = BatchPart(number, min(parts, rows), rows, talk=None)
            reseed()
            with sharing(part):
                done = self.forward(batch.rows(*part.bounds(number)), step)
                done.loss.backward()  # type: ignore[no-untyped-call]
            found.append(replace(done, loss=done.loss.detach(), terms={}))
        return joined(found)

    def send_back(self, done: Forward) -> None:
        """Puts this pass's gradient into the parameters."""
        self.optimizer.zero_grad(set_to_none=True)
        done.loss.backward()  # type: ignore[no-untyped-call]

    def take_turn(self) -> None:
        """Lets gradients reach this player's parameters and no other's."""
        for parameter in self.rivals:
            parameter.requires_grad_(False)
        for parameter in self.params:
            parameter.requires_grad_(True)

    def ahead(self, batch: Batch, step: int) -> Forward:
        """A forward pass whose loss gives the gradient of the whole batch when it is sent back."""
        if self._together is None:
            return self.forward(batch, step)
        loss = self._together(batch, step)
        done, self._turn.done = self._turn.done, None
        assert done is not None
        return replace(done, loss=loss)

    def forward(self, batch: Batch, step: int) -> Forward:
        """The loss and everything to log, without touching a gradient; of a shared batch this part's portions."""
        raw, outputs = self.passes.losses(batch, self.objective.names, through=self.plan.through)
        with repeated(outputs.draws):
            reduced = self.objective.reduced(raw, step, outputs.draws, batch.weights)
        metrics = outputs.metrics
        slopes = self.objective.slopes(reduced, outputs.features if self.plan.through else None)
        loss = self.objective.loss(reduced, step)
        values = [value.detach() for value in reduced.values()]
        return Forward(loss, (*reduced, *metrics), values + list(map(portion, metrics.values())), raw, slopes)

    def apply(self, step: int) -> None:
        """Clips the gradients and lets the optimiser move the parameters."""
        if self.plan.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.params, self.plan.clip)
        self.rate.begin(step)
        for module in self._renewing:
            forget(self.optimizer.state, module.renewed)
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """For a checkpoint: the optimiser and its rate."""
        held = {"optimizer": self.optimizer.state_dict(), "rate": self.rate.state()}
        bound = self.objective.state()
        return held | {"bound": bound} if bound else held

    def load(self, state: dict[str, Any], *, revised: bool = False) -> None:
        """The state of a checkpoint; where the spec was `revised`, its options and schedule stand, not the checkpoint's."""
        self.objective.load(state.get("bound", {}))
        kept = {**state["optimizer"], "state": self._fitting(state["optimizer"]["state"])}
        if not revised:
            self.rate.load(state["rate"])
            self.optimizer.load_state_dict(kept)
            return
        options = [{name: value for name, value in group.items() if name != "params"} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(kept)
        for group, own in zip(self.optimizer.param_groups, options, strict=True):
            group.update(own)
        self.rate.catch_up(state["rate"])

    def _fitting(self, slots: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """The optimiser's tensors as its parameters are: on their device, in their memory format, divided like them.

        Fused optimisers walk through memory, so that momentum in another format would meet the wrong weights.
        """
        return {index: {name: fitting(value, self.params[index]) if isinstance(value, Tensor) and value.ndim else value
                        for name, value in slot.items()} for index, slot in slots.items()}


def forget(state: Mapping[Any, dict[str, Any]], renewed: Iterable[tuple[Tensor, int, Tensor]]) -> None:
    """Zero moments for those units of a parameter, on an axis, that begin anew."""
    for parameter, axis, units in renewed:
        for value in state[parameter].values() if parameter in state else ():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                value.masked_fill_(along(units, value, axis), 0)


def fitting(value: Tensor, parameter: Tensor) -> Tensor:
    """A tensor as a parameter of its shape is: on its device, in its memory format, divided like it."""
    if value.shape != parameter.shape:
        return value
    if parameter is not local(parameter):
        return divided(value.to(parameter.device), parameter)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


class Turn(nn.Module):
    """A player's loss as a module's output, as DistributedDataParallel wants it; the rest of the pass is in `done`."""

    def __init__(self, player: ActivePlayer) -> None:
        super().__init__()
        self.model = player.model
        self.processes = 1
        self.done: Forward | None = None
        self._forward = player.forward

    def forward(self, batch: Batch, step: int) -> Tensor:
        """The portion of the loss, times the processes by whose number the gradient will be divided."""
        self.done = self._forward(batch, step)
        return self.done.loss * self.processes
