"""Weights that follow the training: a constraint with its multiplier, and terms that are balanced by their gradients."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from test_resume import _trained, looking_at_every_step
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.samples import Where
from aebuild.modules.balance import Balanced
from aebuild.modules.code import Code
from aebuild.modules.constraint import Constraint
from aebuild.modules.gradient_balance import GradientBalance
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Batch, Outputs
from aebuild.results.part_laws.views import same
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.phase import ActivePhase, reseed_all
from aebuild.trainer.run_dir.run import Run

SPEC = """\
name: constrained
data: {type: digits, limit: 40, split: {validation: 10}}
encoder: [linear: 8]
latent: {type: gaussian, dim: 2}
losses: {bound: {type: geco, target: 2, rate: 0.3, decay: 0.5}}
train: {steps: 6, batch_size: 10, keep: last, device: cpu, speed: exact}
"""


def test_the_multiplier_follows_the_constraint() -> None:
    """ln λ grows by rate·(average / target − 1), the average beginning with the first batch."""
    module = Constraint(2.0, 0.1, 0.75)
    terms = torch.tensor([[3.0], [5.0]], requires_grad=True)
    torch.testing.assert_close(module({"reconstruction": terms}), torch.tensor([1.0, 3.0]))
    module.observe({"reconstruction": torch.tensor(4.0)})
    assert module.log_multiplier == pytest.approx(0.1)
    module.observe({"reconstruction": torch.tensor(0.0)})
    assert module.average == pytest.approx(3.0)
    assert module.log_multiplier == pytest.approx(0.1 + 0.1 * 0.5)
    slope, = torch.autograd.grad(module({"reconstruction": terms}).sum(), terms)
    torch.testing.assert_close(slope, torch.full((2, 1), math.exp(0.15)))


def test_a_constraint_is_met_by_the_smallest_of_the_rest() -> None:
    """Least x² where (x − 3)² ≤ 1: x = 2, and there λ = x / (3 − x) = 2."""
    module, x = Constraint(1.0, 0.05, 0.0), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.SGD([x], 0.02)
    for _ in range(3000):
        optimizer.zero_grad()
        error = (x - 3).square()
        (x.square() + module({"reconstruction": error.view(1, 1)}).sum()).backward()
        optimizer.step()
        module.observe({"reconstruction": error.detach()})
    assert x.item() == pytest.approx(2, abs=1e-3)
    assert module.log_multiplier.exp().item() == pytest.approx(2, abs=1e-2)


def test_a_resumed_constraint_is_an_unbroken_one(tmp_path: Path) -> None:
    loaded = load(tmp_path / "spec.yaml", text=SPEC)
    splits = load_splits(loaded.require().spec.data, Where(tmp_path))
    with looking_at_every_step():
        whole, cut = (_trained(loaded, splits, tmp_path / name, looks) for name, looks in (("whole", None), ("cut", 3)))
    assert same(cut.model.state_dict(), whole.model.state_dict())
    freed = load(tmp_path / "spec.yaml", text=SPEC.replace("rate: 0.3", "rate: 0.0001"))
    other = _trained(freed, splits, tmp_path / "other", None)
    assert not same(other.model.state_dict(), whole.model.state_dict())


BALANCED = """\
name: balanced
data: {type: digits, limit: 40, split: {validation: 10}}
encoder: [linear: 8]
latent: {type: gaussian, dim: 2}
heads: {digit: {}}
losses: {kl: 0.5, digit: 2, bound: {type: grad_norm, alpha: 0.5, decay: 0.5}}
train: {steps: 6, batch_size: 10, device: cpu, speed: exact}
"""


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_balanced_gradients_are_as_the_paper_wants_them(alpha: float) -> None:
    """Wᵢ·gᵢ stand as wᵢ·r̃ᵢ^alpha, and the weights add up as before, against plain numbers."""
    module = GradientBalance(("a", "b", "c", "d"), alpha, 0.25)
    assert {name: weight.item() for name, weight in module({"a": 1.0, "b": 2.0}).items()} == {"a": 1.0, "b": 2.0}
    shown = [({"a": 8.0, "b": 2.0, "c": 5.0, "d": 3.0}, {"a": 10.0, "b": 0.5, "c": 2.0, "d": 0.0}), ({"a": 2.0, "b": 1.8}, {"a": 6.0, "b": 0.3})]
    for means, norms in shown:
        module.observe(*({name: torch.tensor(value) for name, value in each.items()} for each in (means, norms)))
    g = [0.25 * 10 + 0.75 * 6, 0.25 * 0.5 + 0.75 * 0.3, 2.0]
    ratio = [(0.25 * 8 + 0.75 * 2) / 8, (0.25 * 2 + 0.75 * 1.8) / 2, 1.0]
    written = [1.0, 2.0, 0.5]
    wanted = [w * (r * 3 / sum(ratio)) ** alpha / each for w, r, each in zip(written, ratio, g, strict=True)]
    wanted = [sum(written) * each / sum(wanted) for each in wanted]
    found = module({"a": 1.0, "b": 2.0, "c": 0.5, "d": 7.0})
    assert [each.item() for each in found.values()] == pytest.approx([*wanted, 7.0])


def test_a_balanced_training_is_one_in_parts_and_resumed(tmp_path: Path) -> None:
    loaded = load(tmp_path / "spec.yaml", text=BALANCED)
    splits = load_splits(loaded.require().spec.data, Where(tmp_path))
    with looking_at_every_step():
        whole, cut = (_trained(loaded, splits, tmp_path / name, looks) for name, looks in (("whole", None), ("cut", 3)))
    assert same(cut.model.state_dict(), whole.model.state_dict())
    told = [record["metrics"] for record in Run.open(tmp_path / "whole").journal.read() if record["split"] == "train"][-1]
    weights = {name: value for name, value in told.items() if name.endswith("_weight")}
    assert sum(weights.values()) == pytest.approx(3, rel=1e-4)
    assert set(weights) == {"reconstruction_weight", "kl_weight", "digit_weight"}
    plan = load(tmp_path / "spec.yaml", text=BALANCED.replace("heads: {digit: {}}\n", "").replace("digit: 2, ", "")).require()
    batch, found = next(SplitLoader(splits.train, torch.device("cpu")).passing([(0, 10)])), []
    for parts in (1, 3):
        model = build(plan)
        active = ActivePhase(plan, plan.phases[0], model, frozenset(dict(model.named_parameters())), 30)
        active.enter(0)
        done = active.players[0].update(batch, 0, partial(reseed_all, active.randoms, 1, 1), parts)
        found.append(torch.stack([*done.slopes.values()]))
    torch.testing.assert_close(*found)


class Squared(Loss):
    """A hundred times the squares of the reconstruction."""

    def loss(self, outputs: Outputs) -> Tensor:
        return 100 * outputs.reconstruction.square().sum(1)


def test_a_balanced_term_has_the_reconstructions_gradient() -> None:
    params = torch.randn(4, 3, requires_grad=True)
    target = torch.randn(4, 3)
    outputs = Outputs(Batch(target, target), Code(params), params=params, mean=lambda each: each)
    outputs.terms["reconstruction"] = (params - target).square().sum(1)
    term = Balanced(Squared()).loss(outputs)
    assert term is not None
    ours, = torch.autograd.grad(outputs.terms["reconstruction"].sum(), params, retain_graph=True)
    theirs, = torch.autograd.grad(term.sum(), params, retain_graph=True)
    torch.testing.assert_close(theirs.norm(), ours.norm(), rtol=1e-4, atol=0)
    plain, = torch.autograd.grad(Squared().loss(outputs).sum(), params)
    torch.testing.assert_close(theirs / theirs.norm(), plain / plain.norm())
    with torch.no_grad():
        still = Outputs(Batch(target, target), Code(params), params=params.detach(), mean=lambda each: each)
        assert torch.equal(Balanced(Squared()).loss(still), Squared().loss(still))
