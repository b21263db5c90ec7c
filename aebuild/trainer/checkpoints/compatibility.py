"""Whether the state of a checkpoint fits the players that are to take it up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint
from aebuild.trainer.checkpoints.writer import OTHER_MODEL
from aebuild.trainer.device import out_of_memory

if TYPE_CHECKING:
    from aebuild.trainer.phase import ActivePhase
    from aebuild.trainer.players import ActivePlayer


class Incompatible(ValueError):
    """What does not fit; the message says it."""


@contextmanager
def taking_up() -> Iterator[None]:
    """Turns whatever the parts of a training cannot take up into the CheckpointError that says so."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        first = str(error).splitlines()[0] if str(error) else ""
        said = first if isinstance(error, Incompatible) else f"{type(error).__name__}: {first}"
        raise CheckpointError(Diagnostic(OTHER_MODEL, f"the state of the checkpoint does not fit the training: {said}",
                                         fix=Hint("use the version named in environment.json, or train anew"))) from error


def check_sums(state: Sequence[Mapping[str, Any]]) -> None:
    """Incompatible if sums of an epoch that has begun are not one number a name."""
    for group in state:
        if not isinstance(group["sums"], Tensor) or group["sums"].shape != (len(group["names"]),):
            raise Incompatible("its sums are not one number a name")


def check_players(active: ActivePhase, state: Mapping[str, Any], *, revised: bool) -> None:
    """Incompatible if optimisers or rates are not of the kinds and shapes that the players have."""
    fresh = active.state()
    for player in active.players:
        name = player.plan.name
        own, found = fresh[name], state[name]
        if not _alike(found["optimizer"]["param_groups"], own["optimizer"]["param_groups"]):
            raise Incompatible(f"the options of the optimiser of player {name}")
        for index, slots in found["optimizer"]["state"].items():
            if not _same_slots(slots, _slots(player, player.params[index]), player.params[index]):
                raise Incompatible(f"the optimiser of player {name} at parameter {index}")
        schedule, its = found["rate"]["schedule"], own["rate"]["schedule"]
        if not revised and not _alike(schedule, its):
            raise Incompatible(f"the schedule of player {name}")
        if schedule is not None and not isinstance(schedule.get("last_epoch", 0), int):
            raise Incompatible(f"the schedule of player {name}")
        if not revised and its is not None and any(hasattr(type(player.rate.schedule), key) for key in schedule.keys() - its.keys()):
            raise Incompatible(f"the schedule of player {name}")


def _slots(player: ActivePlayer, parameter: Tensor) -> dict[str, Any]:
    """What the player's optimiser remembers of a parameter [2, 3] after one step."""
    probe = torch.zeros(2, 3, dtype=parameter.dtype, requires_grad=True)
    probe.grad = torch.zeros_like(probe)
    optimizer = player.plan.optimizer.build_optimizer([probe])
    optimizer.step()
    return dict(optimizer.state[probe])


def _same_slots(found: Mapping[str, Any], wanted: Mapping[str, Any], parameter: Tensor) -> bool:
    """True if these are the same tensors for this parameter: fused optimisers walk through memory without asking."""
    def same(slot: Any, like: Any) -> bool:
        if not isinstance(like, Tensor):
            return _alike(slot, like)
        if not like.ndim:                       # a count of steps, whose type depends on whether the steps are fused
            return isinstance(slot, Tensor) and slot.shape == () and slot.is_floating_point() == like.is_floating_point()
        return isinstance(slot, Tensor) and slot.shape == parameter.shape and slot.dtype == like.dtype

    return found.keys() == wanted.keys() and all(same(found[name], like) for name, like in wanted.items())


def _alike(found: Any, fresh: Any) -> bool:
    """True if a value is of the kind of another, all the way down; what only one of two mappings has is left to torch."""
    if isinstance(fresh, Mapping):
        return isinstance(found, Mapping) and all(_alike(found[key], value) for key, value in fresh.items() if key in found)
    if isinstance(fresh, list | tuple):
        return isinstance(found, list | tuple) and len(found) == len(fresh) and all(map(_alike, found, fresh))
    if isinstance(fresh, Tensor):
        return isinstance(found, Tensor) and found.shape == fresh.shape
    if fresh is None or isinstance(fresh, bool):
        return found is None or isinstance(found, bool)
    if isinstance(fresh, int | float):
        return isinstance(found, int | float) and not isinstance(found, bool)
    return isinstance(found, type(fresh))
