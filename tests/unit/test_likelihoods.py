"""Likelihoods: against torch.distributions, their layout of parameters, and the learned variance's optimum."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch import distributions as D

from aebuild.lang.node import Refusal
from aebuild.lang.terms import Likelihood
from aebuild.lang.values import Grid, Range, Sequence, Value, Vector, elements
from aebuild.parts.likelihoods.bernoulli import Bernoulli
from aebuild.parts.likelihoods.categorical import Categorical
from aebuild.parts.likelihoods.gaussian import Gaussian
from aebuild.parts.likelihoods.l1 import L1
from aebuild.parts.likelihoods.mse import Mse

VALUES: list[Value] = [Vector(5), Grid(3, (4,)), Grid(3, (2, 4)), Grid(2, (2, 3, 2)), Sequence(4, 3)]
UNIT, BYTES = Range(0, 1), Range(0, 6, integer=True)


def drawn(part: Likelihood, target: Value, bounds: Range) -> tuple[Any, Tensor, Tensor, Tensor]:
    """The module, parameters with the decoder's layout, the same as [N, *target, count], and a target."""
    torch.manual_seed(0)
    plan = part.plan_output(target, bounds)
    assert plan.elements == elements(target)
    module = part.build_likelihood(target, bounds)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == plan.weights
    with torch.no_grad():
        for p in module.parameters():
            p.normal_()
    separate = torch.randn(6, *target.shape, plan.channels)
    axis = -2 if target.kind == "sequence" else 1
    params = separate.movedim(-1, axis + 1 if axis > 0 else -1).flatten(*((axis, axis + 1) if axis > 0 else (-2, -1)))
    assert params.shape[1:] == target.with_features(target.features * plan.channels).shape
    goal = torch.rand(6, *target.shape) if bounds == UNIT else torch.randint(7, (6, *target.shape)).float()
    return module, params, separate, goal


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_against_torchs_distributions(value: Value) -> None:
    cases: list[tuple[Likelihood, Range, Any, Any]] = [
        (Bernoulli(), UNIT, lambda p, m: D.ContinuousBernoulli(logits=p[..., 0]), lambda p: p[..., 0].sigmoid()),
        (Gaussian(variance=0.3), UNIT, lambda p, m: D.Normal(p[..., 0], math.sqrt(0.3)), lambda p: p[..., 0]),
        (Gaussian(variance="learned"), UNIT, lambda p, m: D.Normal(p[..., 0], (m.log_variance / 2).exp()), lambda p: p[..., 0]),
        (Gaussian(variance="per_dim"), UNIT, lambda p, m: D.Normal(p[..., 0], (m.log_variance / 2).exp()), lambda p: p[..., 0]),
        (Gaussian(variance="predicted"), UNIT, lambda p, m: D.Normal(p[..., 0], (p[..., 1] / 2).exp()), lambda p: p[..., 0]),
        (Categorical(), BYTES, lambda p, m: D.Categorical(logits=p), lambda p: (p.softmax(-1) * torch.arange(7.0)).sum(-1)),
    ]
    for part, bounds, distribution, mean in cases:
        module, params, separate, target = drawn(part, value, bounds)
        oracle = distribution(separate, module)
        expected = -oracle.log_prob(target)
        if isinstance(part, Bernoulli):
            expected = expected + oracle._cont_bern_log_norm()        # the cross-entropy leaves the normaliser out
        torch.testing.assert_close(module(params, target), expected.flatten(1).sum(1), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(module.mean(params), mean(separate))
        assert module.mean(params).shape == target.shape


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_plain_errors(value: Value) -> None:
    for part, error in ((Mse(), torch.square), (L1(), torch.abs)):
        module, params, separate, target = drawn(part, value, UNIT)
        torch.testing.assert_close(module(params, target), error(separate[..., 0] - target).flatten(1).sum(1))
        assert torch.equal(module.mean(params), params)


@pytest.mark.parametrize("variance", ["learned", "per_dim"])
def test_the_learned_variance_is_the_mean_squared_error(variance: Any) -> None:
    """At the optimum NLL / dimension = ½ ln(2πe·MSE)."""
    torch.manual_seed(0)
    params, target = torch.zeros(500, 3), torch.randn(500, 3) * torch.tensor([0.1, 1.0, 3.0])
    module = Gaussian(variance=variance).build_likelihood(Vector(3), Range())
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        loss = module(params, target).mean()
        loss.backward()
        optimizer.step()
    mse = target.square().mean() if variance == "learned" else target.square().mean(0)
    torch.testing.assert_close(module.log_variance.detach().exp(), mse, rtol=1e-3, atol=0)  # type: ignore[operator]
    expected = (0.5 * torch.log(2 * math.pi * math.e * mse)).expand(3).sum()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-5, atol=1e-5)


def test_absurd_log_variances_stay_finite() -> None:
    module = Gaussian(variance="predicted").build_likelihood(Vector(1), Range())
    params = torch.tensor([[0.0, -1e4], [0.0, 1e4]], requires_grad=True)
    loss = module(params, torch.ones(2, 1))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert params.grad is not None
    assert params.grad.isfinite().all()
    assert params.grad[0, 1] < 0 < params.grad[1, 1]


@pytest.mark.parametrize("bounds", [Range(), Range(0, 1), Range(-3, 3, integer=True), Range(0, None, integer=True)], ids=str)
def test_categorical_wants_whole_numbers(bounds: Range) -> None:
    with pytest.raises(Refusal, match="whole numbers from 0"):
        Categorical().plan_output(Vector(3), bounds)


def test_fields() -> None:
    assert Gaussian(variance=2).variance == 2.0
    wrongs: list[Any] = [0.0, -1.0, "known", True, float("inf")]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            Gaussian(variance=wrong)
    assert Bernoulli().support == (0.0, 1.0)
    assert Gaussian().support is None


def test_weights_and_reduction() -> None:
    raw = torch.tensor([2.0, 4.0])
    assert Mse().reduce(raw, 8) == 3
    assert Mse(reduction="mean").reduce(raw, 8) == 3 / 8


def test_what_expects_a_given_mean() -> None:
    mean = torch.tensor([[0.0, 0.001, 0.3, 0.999, 1.0]], dtype=torch.float64)
    for part in (Mse(), L1(), Gaussian(variance=0.3), Bernoulli()):
        module = part.build_likelihood(Vector(5), UNIT)
        params = module.params_of(mean)  # type: ignore[operator]
        held = mean.clamp(1 / 512, 511 / 512) if isinstance(part, Bernoulli) else mean
        torch.testing.assert_close(module.mean(params), held)  # type: ignore[operator]
    assert Categorical().build_likelihood(Vector(5), BYTES).params_of(mean) is None  # type: ignore[operator]


def test_a_learned_variance_begins_at_one() -> None:
    module: Any = Gaussian(variance="per_dim").build_likelihood(Vector(3), UNIT)
    for _ in range(2):
        assert module.log_variance.tolist() == [0, 0, 0]
        torch.nn.init.ones_(module.log_variance)
        module.reset_parameters()
