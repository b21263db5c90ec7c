"""The operations of a training step, read off the plan, are those that torch counts in a real one."""

from __future__ import annotations

import pytest
import torch
from covering import quick_covering
from models import on_meta
from torch.utils.flop_counter import FlopCounterMode

from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.modules.outputs import Batch
from aebuild.results.shipped import shipped
from aebuild.trainer.phase import ActivePhase
from aebuild.trainer.profiling.flops import step_flops

RECURRENT = 0.005      # torch leaves out what the first position has no gradient for
BATCH = 16
CORRUPTED = """
data: wine
corrupt: [mask: 0.3]
encoder: [linear: {width: 16, norm: batch}, linear: 8]
latent: {type: continuous, dim: 3}
train: {phases: [greedy: {target: code, epochs: 1}, greedy: {epochs: 1}, main: {epochs: 1}]}
"""
RESIDUAL = """
data: digits
encoder: [conv: {width: 8, stride: 2}, residual: [conv: {width: 12, norm: batch}, conv: 12]]
latent: {type: adversarial, dim: 4, discriminator: [linear: 20, linear: 10]}
train: {epochs: 1, players: {discriminator: {steps: 3}}}
"""


def counted(plan: Plan) -> dict[str, float]:
    """Operations of a step for one sample of each phase, forward and backward, counted on the meta device."""
    model, found = on_meta(plan), {}
    x = torch.empty(BATCH, *plan.input.shape, device="meta", dtype=getattr(torch, plan.input.dtype))
    target = x if plan.input == plan.target else torch.empty(BATCH, *plan.target.shape, device="meta", dtype=getattr(torch, plan.target.dtype))
    told = torch.empty(BATCH, plan.conditions, device="meta") if plan.conditions else None
    batch = Batch(x, target, torch.zeros(BATCH, dtype=torch.long, device="meta"), told)
    kind = plan.latent.codes
    drawn = torch.empty(BATCH, *kind.shape, device="meta", dtype=getattr(torch, kind.dtype))
    codes = Batch(drawn, drawn)
    for phase in plan.phases:
        active = ActivePhase(plan, phase, model, frozenset(name for name, _ in model.named_parameters()), BATCH)
        active.enter(0)
        with FlopCounterMode(display=False) as counter:
            for player in active.players:
                for _ in range(player.plan.steps):
                    player.take_turn()
                    player.forward(batch if phase.data == "samples" else codes, 0).loss.backward()
        found[phase.name] = counter.get_total_flops() / BATCH
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", quick_covering())
def test_shipped_specs(name: str) -> None:
    plan = load(shipped()[name]).require()
    if plan.calls_again or any(getattr(term.config, "gradient_penalty", None) for term in plan.terms):
        pytest.skip("torch does not count inside of gradients that a loss takes")
    tolerance = RECURRENT if any(node.kind == "lstm" for node in plan.nodes()) else 1e-9
    assert {phase.name: step_flops(plan, phase) for phase in plan.phases} == pytest.approx(counted(plan), rel=tolerance)


@pytest.mark.parametrize("text", [CORRUPTED, RESIDUAL], ids=["greedy with noise", "players and branches"])
def test_pairs_players_and_branches(text: str) -> None:
    plan = load("spec.yaml", text=text).require()
    assert {phase.name: step_flops(plan, phase) for phase in plan.phases} == pytest.approx(counted(plan), rel=1e-9)
