"""Floating-point operations of a training step, counted by torch on a model without memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from aebuild.modules.outputs import Batch
from aebuild.trainer.phase import ActivePhase

if TYPE_CHECKING:
    from aebuild.compile.plan import PhasePlan, Plan
    from aebuild.lang.values import Value

ROWS = 16        # samples of the batch that is counted


def step_flops(plan: Plan, phase: PhasePlan) -> int:
    """Operations of all updates from one sample: matrix products and convolutions, forward and backward, two for each MAC.

    What is computed twice to save memory counts once; optimisers, norms and activations count nothing.
    """
    from aebuild.compile.build import build

    with torch.device("meta"):
        model = build(plan)
    active = ActivePhase(plan, phase, model, frozenset(name for name, _ in model.named_parameters()), ROWS)
    active.enter(0)
    x = _imagined(plan.latent.codes if phase.data == "codes" else plan.input)
    target = x if phase.data == "codes" or plan.input == plan.target else _imagined(plan.target)
    told = torch.empty(ROWS, plan.conditions, device="meta") if plan.conditions else None
    batch = Batch(x, target, torch.zeros(ROWS, dtype=torch.long, device="meta"), told)
    with FlopCounterMode(display=False) as counter:
        for player in active.players:
            for _ in range(player.plan.steps):
                player.take_turn()
                player.forward(batch, 0).loss.backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops()) // ROWS


def _imagined(value: Value) -> torch.Tensor:
    """A batch of that type."""
    return torch.empty(ROWS, *value.shape, device="meta", dtype=getattr(torch, value.dtype))
