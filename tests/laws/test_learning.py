"""Forward and backward are finite, every parameter is reached by its player, and the model does what it offers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from models import fine, samples, turns, unreached
from torch import nn

from aebuild.compile.build import build
from aebuild.compile.front import Loaded
from aebuild.lang.node import Node
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from specs import specs

COUNT = 5
MANY = 12        # more than the entries of any generated codebook, so that k-means cannot hit all


@given(specs())
def test_gradients_are_finite_and_reach_everything(text: str) -> None:
    loaded = fine(text)
    plan = loaded.plan
    assert plan is not None and loaded.info is not None
    model = build(plan)
    taken = turns(plan, model, samples(loaded.info, plan, COUNT))
    for turn in taken:
        assert set(turn.terms) >= {name for player in plan.phases[0].players if player.name == turn.player for name in turn.terms}
        for name, raw in turn.terms.items():
            assert torch.isfinite(raw).all(), (turn.phase, turn.player, name, text)
        for name, gradient in turn.gradients.items():
            assert gradient is None or torch.isfinite(gradient).all(), (turn.phase, turn.player, name, text)
    missed = [] if any(found.code == "AE213" for found in loaded.diagnostics) else unreached(model, taken)
    assert not missed, f"no player moves {missed}\n{text}"


@given(specs())
def test_every_parameter_moves_where_nothing_is_flat(text: str) -> None:
    """With smooth activations in place of rectifiers no gradient is exactly zero."""
    loaded = fine(text)
    plan = loaded.plan
    assert plan is not None and loaded.info is not None
    if any(flat(node) for node in plan.nodes()):
        return
    model = build(plan)
    smooth(model)
    taken = turns(plan, model, samples(loaded.info, plan, MANY), step=1)
    moved = {name for turn in taken for name, gradient in turn.gradients.items() if gradient is not None and bool(gradient.any())}
    if any(found.code == "AE213" for found in loaded.diagnostics):
        return                                          # the spec is warned that no phase trains its heads
    still = [name for name, _ in model.named_parameters() if name not in moved and not settled(name, model)]
    assert not still, f"the gradients of {still} are exactly zero\n{text}"


def flat(node: Node) -> bool:
    """True where zero gradients are in the nature of the thing: rectified states, or no state before to go on from."""
    mode = node.args.get("mode")
    return mode is not None and ("RELU" in mode or node.output.places[0] == 1)


def settled(name: str, model: Autoencoder) -> bool:
    """True for biases, which a norm behind them takes away, slopes below zero, where there may be nothing, and entries that k-means put."""
    slope = isinstance(model.get_submodule(name.rpartition(".")[0]), nn.PReLU)
    return slope or "bias" in name or name == "latent.codebook" and "latent.initialised" in model.state_dict()


def smooth(model: nn.Module) -> None:
    """Replaces each rectifier by a function whose slope is nowhere zero on a stretch."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())


@given(specs())
def test_every_term_belongs_to_one_player(text: str) -> None:
    loaded = fine(text)
    plan = loaded.plan
    assert plan is not None and loaded.info is not None
    model = build(plan)
    for turn in turns(plan, model, samples(loaded.info, plan, COUNT)):
        planned = {term.name for term in plan.terms if term.player == turn.player}
        phase = next(phase for phase in plan.phases if phase.name == turn.phase)
        assert set(turn.terms) == planned or phase.pair is not None and set(turn.terms) <= planned, (set(turn.terms), planned, text)


@given(specs())
def test_model_does_what_it_offers(text: str) -> None:
    loaded = fine(text)
    plan = loaded.plan
    assert plan is not None and loaded.info is not None
    model = build(plan).eval()
    batch = samples(loaded.info, plan, COUNT)
    with torch.no_grad():
        _reconstructs(model, loaded, batch)
        if "sample" in plan.refusals:
            with pytest.raises(ValueError, match="skips"):
                model.sample(3)
        else:
            drawn = model.sample(3, told(batch, 3))
            assert drawn.shape == (3, *plan.target.shape)
            assert torch.isfinite(drawn).all()
        _interpolates(model, loaded, batch)


def told(batch: Batch, count: int) -> torch.Tensor | None:
    """What a conditioned model is told of the first samples."""
    return None if batch.conditions is None else batch.conditions[:count]


def _reconstructs(model: Autoencoder, loaded: Loaded, batch: Batch) -> None:
    plan = loaded.plan
    assert plan is not None
    made = model.reconstruct(batch.x, conditions=batch.conditions)
    assert made.shape == (COUNT, *plan.target.shape)
    assert torch.isfinite(made).all()
    code = model.encode(batch.x, conditions=batch.conditions)
    assert code.value.shape == (COUNT, *plan.latent.code.shape)
    if loaded.spec and loaded.spec.losses.reconstruction.variant_name() == "bernoulli":
        assert ((made >= 0) & (made <= 1)).all()


def _interpolates(model: Autoencoder, loaded: Loaded, batch: Batch) -> None:
    plan = loaded.plan
    assert plan is not None
    a, b = batch.x[:2], batch.x[2:4]
    if "interpolate" in plan.refusals:
        with pytest.raises(ValueError, match="skips"):
            model.interpolate(a, b, 3)
        return
    for where in ("code", "features"):
        between = model.interpolate(a, b, 3, where, told(batch, 2))
        assert between.shape == (3, 2, *plan.target.shape)
        assert torch.isfinite(between).all()
