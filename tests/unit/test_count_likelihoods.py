"""Likelihoods of counts: against scipy and scvi's formulas in float64, normalised, with totals, finite at extremes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from aebuild import train
from aebuild.compile.front import load
from aebuild.data.drawn_counts import draw_counts
from aebuild.lang.diagnostics import DataError
from aebuild.lang.node import Refusal
from aebuild.lang.values import Grid, Range, Vector
from aebuild.modules.count_likelihoods import NegativeBinomial as NegativeBinomialModule
from aebuild.modules.count_likelihoods import ZeroInflated, log_rising
from aebuild.parts.likelihoods.multinomial import Multinomial
from aebuild.parts.likelihoods.negative_binomial import NegativeBinomial
from aebuild.parts.likelihoods.poisson import Poisson
from aebuild.parts.likelihoods.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial

COUNTS = Range(integer=True)
RATE = torch.tensor([[0.01, 0.7, 3.0, 50.0, 2000.0]], dtype=torch.float64)
SEEN = torch.tensor([[0.0, 2.0, 0.0, 41.0, 2500.0]], dtype=torch.float64)


def test_poisson_and_negative_binomial_against_scipy() -> None:
    poisson = Poisson().build_likelihood(Vector(5), COUNTS)
    np.testing.assert_allclose(-poisson.each(RATE.log(), SEEN), stats.poisson.logpmf(SEEN, RATE))
    for dispersion in (0.05, 1.0, 29.0, 31.0, 1e4):
        part = NegativeBinomial(dispersion=dispersion).build_likelihood(Vector(5), COUNTS)
        wanted = stats.nbinom.logpmf(SEEN, dispersion, dispersion / (dispersion + RATE))
        np.testing.assert_allclose(-part.each(RATE.log(), SEEN), wanted, rtol=1e-7)
        np.testing.assert_allclose(-part.each(RATE.log().float(), SEEN.float()), wanted, rtol=1e-3, atol=1e-3)


def scvi_zinb(x: Tensor, mu: Tensor, theta: Tensor, pi: Tensor, eps: float = 1e-8) -> Tensor:
    """The log-probability as Lopez et al. write it out in their supplement, with `pi` a logit."""
    at_zero = (mu + eps) ** 0 * (1 / (1 + (-pi).exp())) + 1 / (1 + pi.exp()) * (theta / (theta + mu)) ** theta
    other = 1 / (1 + pi.exp()) * (torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)).exp() \
        * (theta / (theta + mu)) ** theta * (mu / (theta + mu)) ** x
    return torch.where(x == 0, at_zero, other).log()


def test_zero_inflation_is_scvis() -> None:
    module = ZeroInflated(2.5, 1, totals=False)
    logit = torch.tensor([[-3.0, 0.4, 1.5, -8.0, 0.0]], dtype=torch.float64)
    params = torch.stack([RATE.log(), logit], -1).flatten(1)
    seen = torch.tensor([[0.0, 2.0, 0.0, 41.0, 0.0]], dtype=torch.float64)
    wanted = scvi_zinb(seen, RATE, torch.tensor(2.5, dtype=torch.float64), logit)
    torch.testing.assert_close(-module.each(params, seen), wanted)
    torch.testing.assert_close(module.mean(params), RATE * (1 - logit.sigmoid()))


@pytest.mark.parametrize("part", [Poisson(), NegativeBinomial(dispersion=0.8), NegativeBinomial(dispersion="predicted"),
                                  ZeroInflatedNegativeBinomial(dispersion=3), ZeroInflatedNegativeBinomial(dispersion="predicted")], ids=repr)
def test_counts_sum_to_one_and_have_the_mean(part: Any) -> None:
    module = part.build_likelihood(Vector(1), COUNTS).double()
    channels = part.plan_output(Vector(1), COUNTS).channels
    x = torch.arange(4000, dtype=torch.float64)[:, None]
    params = torch.tensor([[1.2, 0.3, -0.5]], dtype=torch.float64)[:, :channels]
    chances = (-module.each(params.expand(4000, -1), x)).exp()
    assert chances.sum() == pytest.approx(1, abs=1e-8)
    assert (chances * x).sum() == pytest.approx(float(module.mean(params)), rel=1e-8)


def test_multinomial_sums_to_one_over_all_ways() -> None:
    module = Multinomial().build_likelihood(Vector(3), COUNTS)
    every = torch.tensor([[a, b, 5 - a - b] for a in range(6) for b in range(6 - a)], dtype=torch.float64)
    logits = torch.tensor([[0.2, -1.0, 0.7]], dtype=torch.float64).expand(len(every), -1)
    np.testing.assert_allclose(-module(logits, every), stats.multinomial.logpmf(every.numpy(), 5, logits[0].softmax(0).numpy()))
    assert (-module(logits, every)).exp().sum() == pytest.approx(1)


def test_rates_are_shares_of_a_samples_own_total() -> None:
    module = NegativeBinomial().build_likelihood(Vector(3), COUNTS)
    raw, seen = torch.randn(4, 3), torch.tensor([[1.0, 2, 3], [0, 0, 0], [9, 0, 1], [5, 5, 5]])
    linked = module.linked(raw, {"target": seen})
    torch.testing.assert_close(module.mean(linked), raw.softmax(1) * seen.sum(1, keepdim=True).clamp(min=1e-8), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(module.linked(raw, {"input": seen}), linked)
    twice = module.linked(raw.repeat_interleave(2, 0), {"target": seen})
    torch.testing.assert_close(twice, linked.repeat_interleave(2, 0))
    module.learn(seen)
    torch.testing.assert_close(module.mean(module.linked(raw, {})).sum(1), torch.full((4,), 31 / 4))
    torch.testing.assert_close(module.params_of(module.mean(linked[2:])), linked[2:])
    with pytest.raises(ValueError, match="not below 0"):
        module.learn(-seen)


def test_the_layout_of_further_parameters() -> None:
    """Of grids too the parameters of a channel stand one after the other, and only the first is a rate."""
    part = ZeroInflatedNegativeBinomial(dispersion="predicted", library="decoded")
    value = Grid(2, (3,))
    module = part.build_likelihood(value, COUNTS)
    raw = torch.randn(4, 6, 3)
    torch.testing.assert_close(module.linked(raw, {}), raw)
    assert module.mean(raw).shape == (4, 2, 3)
    torch.testing.assert_close(module.mean(raw)[:, 1], raw[:, 3].exp() * (-raw[:, 4]).sigmoid())


@pytest.mark.parametrize("extreme", [-1e6, 1e6])
def test_extremes_stay_finite(extreme: float) -> None:
    for channels, module in ((3, ZeroInflated(None, 1, totals=True)), (2, NegativeBinomialModule(None, 1, totals=False))):
        for sign in (1, -1):
            raw = torch.full((2, 2 * channels), extreme)
            raw[:, ::2] *= sign
            raw.requires_grad_()
            target = torch.tensor([[0.0, 3000.0], [0.0, 0.0]])
            loss = module(module.linked(raw, {"target": target}), target).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            assert loss.isfinite()
            assert raw.grad is not None
            assert raw.grad.isfinite().all()


def test_the_series_meets_the_functions() -> None:
    base = torch.tensor([29.9, 30.1, 50.0], dtype=torch.float64)[:, None]
    x = torch.tensor([0.0, 1.0, 7.0, 1000.0], dtype=torch.float64)
    torch.testing.assert_close(log_rising(base, x), torch.lgamma(base + x) - torch.lgamma(base), rtol=1e-9, atol=1e-9)


def test_the_optimum_of_the_dispersion() -> None:
    """The gradient in the logarithm of a learned dispersion is that of the formula."""
    module = NegativeBinomial(dispersion="learned", library="decoded").build_likelihood(Vector(5), COUNTS).double()
    loss = module(RATE.log(), SEEN).sum()
    loss.backward()
    step = 1e-5

    def at(log: float) -> float:
        return float(-stats.nbinom.logpmf(SEEN, math.exp(log), math.exp(log) / (math.exp(log) + RATE)).sum())

    assert module.dispersion.log.grad == pytest.approx((at(step) - at(-step)) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("bounds", [Range(), Range(0, 1), Range(-3, 3, integer=True)], ids=str)
def test_counts_are_whole_numbers(bounds: Range) -> None:
    for part in (Poisson(), Multinomial(), NegativeBinomial(), ZeroInflatedNegativeBinomial()):
        with pytest.raises(Refusal, match="whole numbers from 0"):
            part.plan_output(Vector(3), bounds)


def test_drawn_counts_are_as_their_model_has_it() -> None:
    drawn = draw_counts(3000, 20, 0)
    assert drawn.counts.min() == 0
    assert drawn.counts.sum(1).mean() == pytest.approx(0.9 * 8 * 20, rel=0.05)         # a tenth is lost
    assert set(map(tuple, drawn.factors)) == {(kind, batch) for kind in range(4) for batch in range(2)}
    assert (draw_counts(3000, 20, 0).counts == drawn.counts).all()
    assert drawn.counts.var(0).mean() > 2 * drawn.counts.mean(0).mean()                # more spread than chance has it


COUNTING = """\
name: cells
data: {type: counts, cells: 60, genes: 6}
encoder: [log1p, linear: 8]
latent: {type: gaussian, dim: 2}
losses: {reconstruction: negative_binomial}
train: {steps: 3, batch_size: 20, device: cpu, speed: exact}
"""


def test_a_count_model_does_everything(tmp_path: Any) -> None:
    run = train(load(tmp_path / "spec.yaml", text=COUNTING), folder=tmp_path / "run")
    model = run.result.model.requires_grad_(False)
    x = torch.tensor([[4.0, 0, 1, 0, 7, 8]])
    assert model.reconstruct(x).sum() == pytest.approx(20, rel=1e-4)
    made = model.sample(3)
    assert made.shape == (3, 6)
    assert made.sum(1).mean() == pytest.approx(float(model.likelihood.typical), rel=1e-4)


def test_counts_below_0_are_refused(tmp_path: Any) -> None:
    rows = "\n".join(["a,b", *(f"{n},{n - 2}" for n in range(40))])
    (tmp_path / "rows.csv").write_text(rows + "\n")
    text = COUNTING.replace("{type: counts, cells: 60, genes: 6}", "{type: table, path: rows.csv, scale: integer, columns: [a, b]}")
    with pytest.raises(DataError, match="not below 0"):
        train(load(tmp_path / "spec.yaml", text=text), folder=tmp_path / "run")
