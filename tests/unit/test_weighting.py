"""Weights that follow the training: a constraint with its multiplier, and terms that are balanced by their gradients."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from test_resume import _trained, looking_at_every_step
from torch import Tensor

from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.samples import Where
from aebuild.modules.balance import Balanced
from aebuild.modules.code import Code
from aebuild.modules.constraint import Constraint
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Batch, Outputs
from aebuild.results.part_laws.views import same

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
