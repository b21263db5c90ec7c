"""What the laws do with a plan: build it, feed it, let its players learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.compile.build import build
from aebuild.compile.plan import PhasePlan, Plan
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Scaling, Split, Splits
from aebuild.lang.values import Tokens
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.trainer.phase import ActivePhase, reseed_all


def on_meta(plan: Plan) -> Autoencoder:
    """The plan's module without memory, in evaluation mode."""
    with torch.device("meta"):
        model = build(plan)
    return model.eval()


def samples(info: DataInfo, plan: Plan, count: int, seed: int = 0) -> Batch:
    """Random data of the types and ranges that the spec declares."""
    generator = torch.Generator().manual_seed(seed)
    x = _within(info.range, (count, *info.value.shape), generator)
    x = x.long() if isinstance(info.value, Tokens) else x
    target = x if info.target == info.value else _within(info.target_range, (count, *plan.target.shape), generator)
    labels = None if info.classes is None else torch.randint(-1, info.classes, (count,), generator=generator)
    told = torch.randn((count, plan.conditions), generator=generator) if plan.conditions else None
    return Batch(x, target, labels, told)


def _within(bounds: Any, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if bounds.low is None or bounds.high is None:
        wide = torch.randn(shape, generator=generator)
        return (5 * wide).round().abs() if bounds.integer else wide          # counts
    if bounds.integer:
        return torch.randint(int(bounds.low), int(bounds.high) + 1, shape, generator=generator).float()
    drawn: Tensor = bounds.low + (bounds.high - bounds.low) * torch.rand(shape, generator=generator)
    return drawn


def imagined(info: DataInfo, plan: Plan) -> Splits:
    """Random data in place of those that a spec names."""
    parts: list[Split] = []
    for seed, count in enumerate((64, 16, 16)):
        batch = samples(info, plan, count, seed)
        labels = None if batch.labels is None else batch.labels.numpy()
        told = {} if batch.conditions is None else {"conditions": batch.conditions.numpy()}
        parts.append(Split(batch.x.numpy(), labels, None if batch.target is batch.x else batch.target.numpy(), **told))
    train, validation, test = parts
    return Splits(train, validation, test, scaling=Scaling(), info=info)


@dataclass
class Turn:
    """One forward and backward pass of a player: what it moves, its terms and its loss."""

    phase: str
    player: str
    terms: dict[str, Tensor]
    loss: Tensor
    gradients: dict[str, Tensor | None]


@torch.no_grad()
def batch_of(phase: PhasePlan, model: Autoencoder, batch: Batch) -> Batch:
    """The batch that a phase has of these samples: themselves, or their codes."""
    if phase.data == "samples":
        return batch
    codes = model.latent.codes_of(model.encode(batch.x))
    return Batch(codes, codes)


def turns(plan: Plan, model: Autoencoder, batch: Batch, *, step: int = 0) -> list[Turn]:
    """Every player of every phase in turn, without a step of the optimiser."""
    names = frozenset(name for name, _ in model.named_parameters())
    found = []
    for phase in plan.phases:
        active = ActivePhase(plan, phase, model, names, len(batch.x))
        active.enter(step)
        for player in active.players:
            model.zero_grad(set_to_none=True)
            player.take_turn()
            reseed_all(random_modules(model), 0, step)
            done = player.forward(batch_of(phase, model, batch), step)
            done.loss.backward()  # type: ignore[no-untyped-call]
            gradients = {name: None if p.grad is None else p.grad.clone() for name, p in player.named}
            found.append(Turn(phase.name, player.plan.name, done.terms, done.loss.detach(), gradients))
    return found


def unreached(model: nn.Module, taken: list[Turn]) -> list[str]:
    """Parameters that no player's terms reach in any phase."""
    reached = {name for turn in taken for name, gradient in turn.gradients.items() if gradient is not None}
    return [name for name, _ in model.named_parameters() if name not in reached]
