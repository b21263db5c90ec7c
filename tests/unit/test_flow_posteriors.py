"""Flows and the posteriors that they bend: volumes, inverses, densities; zuko's splines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from latent_site import latent_of, planned_state, site
from torch import distributions as D
from torch import nn

from aebuild.lang.families import Posterior
from aebuild.lang.values import Grid, Value, Vector
from aebuild.modules.flow_autoregressive import InverseAutoregressive
from aebuild.modules.flow_coupling import AffineCoupling, SplineCoupling, knots, spline
from aebuild.modules.flow_simple import Planar, Radial
from aebuild.modules.posteriors import DiagonalGaussian
from aebuild.modules.priors import GaussianPrior
from aebuild.parts.latents.gaussian import Gaussian

pytestmark = pytest.mark.usefixtures("double_precision")

DIM, TOLD = 3, 2
FLOWS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "planar": (Planar, 2 * DIM + 1), "radial": (Radial, DIM + 2),
    **{f"iaf {way}": (lambda way=way: InverseAutoregressive(DIM, TOLD, 8, backwards=way), TOLD) for way in (False, True)},
    **{f"affine {way}": (lambda way=way: AffineCoupling(DIM, TOLD, 8, backwards=way), TOLD) for way in (False, True)},
    **{f"spline {way}": (lambda way=way: SplineCoupling(DIM, TOLD, 8, 5, 2.0, backwards=way), TOLD) for way in (False, True)}}


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_tells_its_volume_and_can_be_undone(name: str) -> None:
    """log|det J| is the slogdet of autograd's Jacobian, also that of the inverse, which gives the values back."""
    make, told = FLOWS[name]
    flow, x, beside = make().double(), 1.5 * torch.randn(6, DIM), torch.randn(6, told)
    y, volume = flow(x, beside)
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda a, i=i: flow(a.unsqueeze(0), beside[i:i + 1])[0][0], x[i])
                            for i in range(len(x))])
    torch.testing.assert_close(volume, torch.linalg.slogdet(jacobian).logabsdet)
    back, shrunk = flow.inverse(y, beside)
    torch.testing.assert_close(back, x, atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(shrunk, -volume, atol=1e-7, rtol=1e-6)
    assert (volume.abs() > 1e-3).any()


def test_an_autoregressive_flow_looks_only_back() -> None:
    """∂out_i/∂in_j is exactly 0 for j > i, or j < i backwards; all values see what the flow is told."""
    for backwards in (False, True):
        flow = InverseAutoregressive(DIM, TOLD, 8, backwards=backwards)
        jacobian = torch.autograd.functional.jacobian(lambda a, flow=flow: flow(a, torch.ones(1, TOLD))[0][0], torch.randn(1, DIM))[:, 0]
        above = jacobian.triu(1) if not backwards else jacobian.tril(-1)
        assert (above == 0).all()
        assert ((jacobian.tril(-1) if not backwards else jacobian.triu(1)) != 0).sum() == DIM * (DIM - 1) / 2
        told = torch.autograd.functional.jacobian(lambda b, flow=flow: flow(torch.ones(1, DIM), b)[0][0], torch.ones(1, TOLD))
        assert (told.abs().sum((1, 2)) > 0).all()


def test_planar_flows_are_the_papers() -> None:
    """Rezende and Mohamed (2015), equations 10 to 12, with û of appendix A.1."""
    x, told = torch.randn(1, 2), torch.randn(1, 5)
    u, w, b = told[0, :2], told[0, 2:4], told[0, 4]
    corrected = u + (torch.log1p((w @ u).exp()) - 1 - w @ u) * w / (w @ w)
    psi = (1 - torch.tanh(w @ x[0] + b) ** 2) * w
    y, volume = Planar()(x, told)
    torch.testing.assert_close(y[0], x[0] + corrected * torch.tanh(w @ x[0] + b), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(volume[0], (1 + corrected @ psi).abs().log(), atol=1e-6, rtol=1e-6)


def test_radial_flows_are_the_papers() -> None:
    """Rezende and Mohamed (2015), equations 13 and 14, with the bound of appendix A.2."""
    x, told = torch.randn(1, 3), torch.randn(1, 5)
    alpha = told[0, 3].exp().log1p()
    beta = -alpha + told[0, 4].exp().log1p()
    r = (x[0] - told[0, :3]).norm()
    y, volume = Radial()(x, told)
    torch.testing.assert_close(y[0], x[0] + beta / (alpha + r) * (x[0] - told[0, :3]), atol=1e-6, rtol=1e-6)
    expected = 2 * (1 + beta / (alpha + r)).log() + (1 + beta / (alpha + r) - beta * r / (alpha + r) ** 2).log()
    torch.testing.assert_close(volume[0], expected, atol=1e-6, rtol=1e-6)


def test_the_spline_is_zukos() -> None:
    transforms = pytest.importorskip("zuko.transforms")
    numbers, bins, bound = torch.randn(7, 3 * 5 - 1), 5, 3.0
    places, heights, slopes = knots(numbers, bins, bound)
    zuko = transforms.MonotonicRQSTransform(*numbers.split([bins, bins, bins - 1], -1), bound=bound)
    zuko.horizontal, zuko.vertical, zuko.derivatives = places, heights, slopes            # its own floors of bins differ
    for x in (torch.linspace(-4, 4, 7), torch.randn(7)):
        y, log_slope = spline(x, places, heights, slopes, backwards=False)
        torch.testing.assert_close(y, zuko(x))
        torch.testing.assert_close(log_slope, zuko.log_abs_det_jacobian(x, y))
    flat = knots(torch.zeros(1, 14), 5, 2.0)
    y, log_slope = spline(torch.tensor([0.7]), *flat, backwards=False)
    assert (float(y), float(log_slope)) == pytest.approx((0.7, 0.0), abs=1e-9)              # numbers of 0 bend nothing


WAYS = [f"{{type: {name}, flows: 2}}" for name in ("planar", "radial", "iaf", "realnvp", "neural_spline")]


@pytest.mark.parametrize("name", ["full", "planar", "radial", "iaf", "realnvp", "neural_spline"])
@pytest.mark.parametrize("value", [Vector(5), Grid(4, (2, 3))], ids=str)
def test_the_density_of_a_draw_is_that_of_its_noise_by_its_volume(name: str, value: Value) -> None:
    """For one sample log q of a draw is the noise's log-density less the slogdet of the map from noise to code."""
    part = Gaussian(dim=2, per="position" if value.places else "sample", posterior=Posterior.named(name))
    latent: Any = latent_of(part, value).double()
    numbers = latent.project(torch.randn(1, *value.shape))
    posterior = latent.posterior(numbers)
    shape = posterior.centre.shape
    noise = torch.randn(1, 1, *shape[1:])
    jacobian = torch.autograd.functional.jacobian(lambda e: posterior.sample(e)[0].flatten(), noise)
    code = posterior.sample(noise)
    assert code.shape == shape
    expected = D.Normal(0.0, 1.0).log_prob(noise).sum() - torch.linalg.slogdet(jacobian.reshape(shape[1:].numel(), -1)).logabsdet
    torch.testing.assert_close(posterior.log_q(), expected.view(1))
    several = posterior.sample(noise.expand(1, 3, *shape[1:]))
    torch.testing.assert_close(several, code.expand(3, *shape[1:]))
    torch.testing.assert_close(posterior.log_q(), expected.expand(3))
    assert posterior.mean.shape == shape
    found = {key: tuple(tensor.shape) for key, tensor in latent.state_dict().items()}
    assert found == planned_state(part.plan_latent(value, site()).node)


def test_a_full_gaussian_is_torchs() -> None:
    latent: Any = latent_of(Gaussian(dim=3, posterior=Posterior.named("full")), Vector(4)).double()
    posterior = latent.posterior(latent.project(torch.randn(5, 4)))
    truth = D.MultivariateNormal(posterior.mean, scale_tril=posterior.factor[:, 0])
    value = posterior.sample(torch.randn(5, 2, 3))
    torch.testing.assert_close(posterior.log_q().view(5, 2).T, truth.log_prob(value.view(5, 2, 3).transpose(0, 1)))
    torch.testing.assert_close(posterior.covariance(), truth.covariance_matrix)
    for std in (1.0, 2.5):
        prior = D.MultivariateNormal(torch.zeros(3), std ** 2 * torch.eye(3))
        torch.testing.assert_close(GaussianPrior((3,), std).divergence(posterior, value), D.kl_divergence(truth, prior))


def test_the_covariance_at_places_stands_in_the_order_of_the_code() -> None:
    latent: Any = latent_of(Gaussian(dim=2, per="position", posterior=Posterior.named("full")), Grid(3, (2, 2))).double()
    posterior = latent.posterior(latent.project(torch.randn(1, 3, 2, 2)))
    jacobian = torch.autograd.functional.jacobian(lambda e: posterior.sample(e)[0].flatten(), torch.zeros(1, 1, 2, 2, 2)).reshape(8, 8)
    torch.testing.assert_close(posterior.covariance()[0], jacobian @ jacobian.T)


def test_flows_whose_numbers_are_the_encoders_have_no_weights_and_differ_by_sample() -> None:
    latent: Any = latent_of(Gaussian(dim=2, posterior=Posterior.named("planar")), Vector(3)).double()
    assert not list(latent.posterior.parameters())
    posterior = latent.posterior(latent.project(torch.randn(2, 3)))
    assert isinstance(posterior.base, DiagonalGaussian)
    shifts = [posterior.sample(torch.zeros(2, 1, 2))[i] - posterior.base.mean[i] for i in (0, 1)]
    assert not torch.allclose(*shifts)
