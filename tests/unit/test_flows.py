"""Flows: inverses, log-determinants, densities that integrate to one, and zuko's on the same weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import jacrev, vmap

from aebuild.modules.flows import (
    Flow,
    Inverted,
    Made,
    MaskedAutoregressive,
    Reversal,
    Standardisation,
    Transform,
    TransformCoupling,
    affine,
    standard_normal,
)
from aebuild.modules.prior_flow import FlowPrior

SIZE, WIDTH = 4, 7


@pytest.fixture(autouse=True)
def _exact() -> Any:
    """Double precision, and the same weights each time."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def awake(transform: Transform) -> Transform:
    """Far from the identity."""
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.normal_(0, 0.7)
    return transform.double()


def settled() -> Standardisation:
    made = Standardisation(SIZE).train()
    made(3 + 2 * torch.randn(50, SIZE))
    return made.eval()


TRANSFORMS = {
    "first half": lambda: TransformCoupling(SIZE, WIDTH, 0), "second half": lambda: TransformCoupling(SIZE, WIDTH, 1), "odd": lambda: TransformCoupling(5, WIDTH, 1),
    "autoregressive": lambda: MaskedAutoregressive(SIZE, WIDTH), "one value": lambda: MaskedAutoregressive(1, WIDTH),
    "narrow": lambda: MaskedAutoregressive(SIZE, 2), "inverted": lambda: Inverted(MaskedAutoregressive(SIZE, WIDTH)), "reversal": Reversal,
    "standardisation": settled,
    "several": lambda: Flow([settled(), MaskedAutoregressive(SIZE, WIDTH), Reversal(), TransformCoupling(SIZE, WIDTH, 0)])}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_can_be_undone_and_knows_its_determinant(name: str) -> None:
    transform = awake(TRANSFORMS[name]())
    z = torch.randn(6, {"odd": 5, "one value": 1}.get(name, SIZE))
    u, log_det = transform(z)
    again, back = transform.inverse(u)
    torch.testing.assert_close(again, z, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(back, -log_det, rtol=1e-8, atol=1e-8)
    jacobian = vmap(jacrev(lambda one: transform(one[None])[0][0]))(z)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-8, atol=1e-8)
    assert name == "reversal" or not torch.allclose(u, z, atol=0.1)


@pytest.mark.parametrize("width", [2, 3, 16])
def test_a_value_depends_on_those_before_it_alone(width: int) -> None:
    network = Made(5, width, 2)
    jacobian = jacrev(lambda z: network(z[None])[0])(torch.randn(5)).view(2, 5, 5)
    allowed = torch.ones(5, 5).tril(-1).bool()
    assert (jacobian[:, ~allowed] == 0).all()
    assert width < 16 or (jacobian[:, allowed] != 0).all()


def test_a_flow_begins_near_the_identity() -> None:
    u, log_det = Flow([MaskedAutoregressive(SIZE, 32), Reversal(), Reversal(), TransformCoupling(SIZE, 32, 0)])(z := torch.randn(100, SIZE))
    assert (u - z).abs().max() < 0.1 and log_det.abs().max() < 0.1


def test_scales_are_held_softly() -> None:
    shift, log_scale = affine(torch.tensor([[1.0, 1e4], [2.0, 0.1]]))
    torch.testing.assert_close(log_scale, torch.tensor([[5.0], [0.1]]), atol=1e-4, rtol=0)
    assert shift.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("kind", ["maf", "realnvp", "iaf"])
def test_the_density_integrates_to_one_and_draws_follow_it(kind: str) -> None:
    made = {"maf": lambda: MaskedAutoregressive(2, 8), "realnvp": lambda: TransformCoupling(2, 8, 0), "iaf": lambda: Inverted(MaskedAutoregressive(2, 8))}
    prior = FlowPrior((2,), [made[kind](), Reversal(), made[kind]()])
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.normal_(0, 0.4)
    axis = torch.linspace(-12, 12, 241)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = prior.log_prob(grid).exp() * (axis[1] - axis[0]) ** 2
        drawn = prior.draw(20_000, torch.device("cpu"))
    assert float(density.sum()) == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(drawn.mean(0), density @ grid, atol=0.06, rtol=0)


def test_standardisation_settles_once_and_keeps_it() -> None:
    first = Standardisation(3).train()
    z = torch.tensor([1.0, 2.0, 3.0]) + torch.randn(400, 3) * torch.tensor([0.5, 4.0, 0.0])
    u, _ = first(z)
    torch.testing.assert_close(u[:, :2].mean(0), torch.zeros(2), atol=1e-9, rtol=0)
    torch.testing.assert_close(u[:, :2].std(0, correction=0), torch.ones(2))
    assert u[:, 2].isfinite().all()
    kept = first.mean.clone()
    first(z + 5)
    assert torch.equal(first.mean, kept)
    other = Standardisation(3).train()
    other.load_state_dict(first.state_dict())
    other(z + 5)
    assert torch.equal(other.mean, kept)
    assert Standardisation(3).eval()(z)[0].equal(z)


@pytest.mark.parametrize("kind", ["autoregressive", "coupling"])
def test_zuko_agrees_on_the_same_network(kind: str) -> None:
    transforms = pytest.importorskip("zuko.transforms")
    from torch.distributions.transforms import AffineTransform

    own = awake(MaskedAutoregressive(SIZE, WIDTH) if kind == "autoregressive" else TransformCoupling(SIZE, WIDTH, 0))

    def meta(z: Tensor) -> Any:
        shift, log_scale = affine(own.network(z))
        return AffineTransform(shift, log_scale.exp())

    if kind == "autoregressive":
        theirs = transforms.AutoregressiveTransform(lambda z: transforms.DependentTransform(meta(z), 1), passes=SIZE)
    else:
        mask = torch.tensor([False, True] * (SIZE // 2))
        theirs = transforms.CouplingTransform(lambda z: transforms.DependentTransform(meta(z), 1), mask)
    z = torch.randn(5, SIZE)
    (u, log_det), (them, their_det) = own(z), theirs.call_and_ladj(z)
    torch.testing.assert_close(u, them)
    torch.testing.assert_close(log_det, their_det)
    torch.testing.assert_close(own.inverse(u)[0], theirs.inv(u))


def test_the_base_is_a_standard_normal() -> None:
    u = torch.randn(3, 5)
    torch.testing.assert_close(standard_normal(u), torch.distributions.Normal(0.0, 1.0).log_prob(u).sum(1))
    assert float(standard_normal(torch.zeros(1, 2))) == pytest.approx(-math.log(2 * math.pi))
