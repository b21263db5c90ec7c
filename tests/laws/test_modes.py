"""What is in training mode while a phase runs: what its players train, and what corrupts or penalises; nothing else."""

from __future__ import annotations

import pytest
import torch
from models import fine, samples
from torch import nn

from aebuild.compile.build import build
from aebuild.compile.plan import Plan
from aebuild.modules.autoencoder import Autoencoder, Batch
from aebuild.modules.children import Children
from aebuild.modules.randomness import random_modules
from aebuild.trainer.phase import ActivePhase, reseed_all

STACKED = """
data: wine
corrupt: [gaussian: 0.1, mask: 0.2]
encoder: [linear: {width: 8, norm: batch}, repeat: {times: 1, steps: [linear: 7, dropout: 0.5]}, linear: 6]
latent: {type: continuous, dim: 3, activation: sigmoid}
losses: {reconstruction: mse, sparsity: {type: kl, target: 0.1, weight: 0.1}, contrastive: 0.1}
train: {device: cpu, phases: [greedy, main]}
"""
NOTHING_TO_KEEP = """
data: wine
encoder: [dropout: 0.5]
latent: {type: continuous, dim: 3}
decoder: [linear: 13]
losses: {reconstruction: mse}
train: {device: cpu, phases: [greedy, main]}
"""
ADVERSARIAL = """
data: wine
corrupt: [gaussian: 0.1]
encoder: [linear: {width: 8, norm: batch}, dropout: 0.5]
latent: {type: adversarial, dim: 3, discriminator: [linear: 4, dropout: 0.5]}
losses: {reconstruction: mse, sparsity: {type: l1, weight: 0.1}}
train: {device: cpu}
"""


def model_of(text: str) -> tuple[Plan, Autoencoder, Batch]:
    loaded = fine(text)
    assert loaded.plan is not None and loaded.info is not None
    return loaded.plan, build(loaded.plan), samples(loaded.info, loaded.plan, 20)


def enter(plan: Plan, model: Autoencoder, number: int) -> ActivePhase:
    """The phase of this number, entered."""
    active = ActivePhase(plan, plan.phases[number], model, frozenset(name for name, _ in model.named_parameters()), 20)
    active.enter(0)
    return active


def below(name: str, paths: set[str]) -> bool:
    pieces = name.split(".")
    return any(".".join(pieces[:count]) in paths for count in range(1, len(pieces) + 1))


@pytest.mark.parametrize("text", [STACKED, NOTHING_TO_KEEP, ADVERSARIAL], ids=["stacked", "nothing to keep", "adversarial"])
def test_what_is_trained_and_what_corrupts_or_penalises_is_in_training_mode(text: str) -> None:
    plan, model, _ = model_of(text)
    for number, phase in enumerate(plan.phases):
        enter(plan, model, number)
        paths = {"corruptions", "penalties"} | {path for player in phase.players for path in player.modules}
        leaves = {name: module.training for name, module in model.named_modules() if not list(module.children()) and "." in name}
        assert leaves == {name: below(name, paths) for name in leaves}, phase.name
        assert model.training                                       # by which the input is corrupted


def test_a_frozen_layer_neither_drops_nor_counts() -> None:
    """In the second pair's stretch the first pair, a linear layer with batch norm, keeps its statistics; dropout rests in the third's."""
    plan, model, batch = model_of(STACKED)
    names = [phase.name for phase in plan.phases]
    (norm,) = [module for module in model.encoder.modules() if isinstance(module, nn.BatchNorm1d)]
    for name, moves, random in (("greedy.0", True, False), ("greedy.1", False, True), ("greedy.2", False, False), ("main", True, True)):
        enter(plan, model, names.index(name))
        before, features = norm.running_mean.clone(), []
        for tick in range(2):
            reseed_all(random_modules(model), 0, tick)
            features.append(model.features(batch.x))
        assert torch.equal(norm.running_mean, before) != moves, name
        norm.reset_running_stats()
        if name != "greedy.0":
            assert torch.equal(*features) != random, name


def test_a_frozen_half_without_state_rests_too() -> None:
    plan, model, batch = model_of(NOTHING_TO_KEEP)
    for number, frozen in ((0, False), (1, True), (2, False)):
        enter(plan, model, number)
        assert torch.equal(model.features(batch.x), batch.x) == frozen, plan.phases[number].name


@pytest.mark.parametrize("number", range(5))
def test_corruptions_and_penalties_act_in_every_phase(number: int) -> None:
    """Those of torch that act in training only show it."""
    plan, model, batch = model_of(STACKED)
    model.corruptions[0], model.corruptions[1] = nn.Dropout(0.5), nn.Identity()
    model.penalties = Children({"sparsity": nn.Dropout(0.5)})
    enter(plan, model, number)
    assert not torch.equal(model.corrupt(batch.x), batch.x)
    assert not torch.equal(model.penalties["sparsity"](batch.x), batch.x)


def test_a_pair_that_has_nothing_to_learn_is_left_out() -> None:
    plan, model, _ = model_of(STACKED.replace("repeat: {times: 1, steps: [linear: 7, dropout: 0.5]}", "dropout: 0.5"))
    assert [phase.name for phase in plan.phases] == ["greedy.0", "greedy.2", "greedy.3", "main"]
    for number in range(len(plan.phases)):
        assert enter(plan, model, number).players[0].params
