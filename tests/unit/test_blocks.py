"""Blocks, norms, activations and normalised weights against torch's own layers, closed forms and second implementations."""

from __future__ import annotations

from math import exp, pi
from pathlib import Path

import numpy as np
import pytest
import torch
from models import turns
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.samples import Where
from aebuild.modules.bent import PReLU, Snake
from aebuild.modules.channels import BlurPool, Coordinates, FourierFeatures, LayerNormByPlace, RmsByPlace
from aebuild.modules.convolution import convolution
from aebuild.modules.normalised_weight import NormalisedWeight, normalised
from aebuild.trainer.batches.loader import SplitLoader

SIZES = {1: (11,), 2: (5, 7), 3: (3, 5, 4)}


def first_step(step: str, rank: int, channels: int = 4) -> nn.Module:
    """The module of an encoder's first step, over grids of that rank."""
    text = (f"data: {{type: arrays, path: x.npy, shape: {[channels, *SIZES[rank]]}, as: grid}}\nencoder: [{step}]\n"
            "latent: {type: continuous, dim: 2}\ndecoder: [linear: 4]\n")
    module = build(load("spec.yaml", text=text).require()).encoder.get_submodule("0")
    for number, parameter in enumerate(module.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
    return module.double()


def given(rank: int, channels: int = 4) -> Tensor:
    return torch.randn(3, channels, *SIZES[rank], generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def torchs(rank: int, transposed: bool, groups: int) -> nn.Module:
    kind = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d) if not transposed else (None, nn.ConvTranspose1d, nn.ConvTranspose2d)
    return kind[rank](4, 6) if not rank else kind[rank](4, 6, 3, padding=1, groups=groups)


def ours(how: str, rank: int, transposed: bool, groups: int) -> NormalisedWeight:
    if not rank:
        return normalised(how, (6, 4), bias=True)
    options = {name: (number,) * rank for name, number in (("kernel", 3), ("stride", 1), ("padding", 1), ("dilation", 1))}
    module = convolution(rank, 4, 6, **options, groups=groups, bias=True, weights=how, output_padding=(0,) * rank if transposed else None)
    assert isinstance(module, NormalisedWeight)
    return module


@pytest.mark.parametrize(("rank", "transposed", "groups"), [(0, False, 1), (1, False, 1), (2, False, 2), (3, False, 1), (2, True, 1)])
@pytest.mark.parametrize("how", ["weight_norm", "spectral_norm"])
def test_normalised_weights_are_torchs(how: str, rank: int, transposed: bool, groups: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, *SIZES[rank]) if rank else torch.randn(3, 4)
    plain, module = torchs(rank, transposed, groups), ours(how, rank, transposed, groups)
    module.weight.data.copy_(plain.weight.data)
    module.settle()
    nn.init.normal_(plain.bias)
    module.bias.data.copy_(plain.bias.data)
    if how == "weight_norm":
        torch.testing.assert_close(module(x), plain(x))               # as it was drawn
        wanted = parametrizations.weight_norm(plain, dim=1 if transposed else 0)
        other = wanted.parametrizations.weight
        with torch.no_grad():
            other.original0.mul_(1.5)
            module.gain.mul_(1.5)
        pairs = [(module.weight, other.original1), (module.gain, other.original0)]
    else:
        for _ in range(20):
            module.settle()
        wanted = parametrizations.spectral_norm(plain, n_power_iterations=600, dim=1 if transposed else 0)
        pairs = [(module.weight, wanted.parametrizations.weight.original)]
    module.eval(), wanted.eval()
    torch.testing.assert_close(module(x), wanted(x), rtol=1e-4, atol=1e-4)
    for model in (module, wanted):
        model(x).square().sum().backward()
    for own, others in pairs:
        torch.testing.assert_close(own.grad.flatten(), others.grad.flatten(), rtol=1e-3, atol=1e-3)


def test_rows_of_a_grouped_transposed_convolution_are_its_outputs() -> None:
    module = ours("weight_norm", 2, True, 2)
    x = torch.zeros(1, 4, 9, 9)
    before = module(x + torch.randn(1, 4, 9, 9)) - module(x)
    with torch.no_grad():
        module.gain.copy_(torch.where(torch.arange(6) == 4, 0.0, module.gain))
    after = module(x + torch.randn(1, 4, 9, 9)) - module(x)
    assert (before.abs().amax((0, 2, 3)) > 0).all()
    assert (after.abs().amax((0, 2, 3)) > 1e-6).tolist() == [True] * 4 + [False, True]
    torch.testing.assert_close(module.as_weight(module.rows()), module.weight)


def test_training_follows_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    module = normalised("spectral_norm", (6, 4), bias=False).train()
    module.weight.data.normal_()
    for _ in range(60):
        module(torch.randn(2, 4))
    rows = module.rows()
    assert float(torch.linalg.matrix_norm(rows * module.scale(rows), 2).detach()) == pytest.approx(1, abs=1e-3)
    module.eval()
    state = module.left.clone()
    module(torch.randn(2, 4))
    assert torch.equal(state, module.left)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_norms(rank: int) -> None:
    x = given(rank)
    layer, rms, scale = LayerNormByPlace(4).double(), RmsByPlace(4, eps=0).double(), torch.rand(4, dtype=torch.float64)
    rms.weight.data.copy_(scale)
    torch.testing.assert_close(layer(x), (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt())
    torch.testing.assert_close(rms(x), x / x.square().mean(1, keepdim=True).sqrt() * scale.view(-1, *(1,) * rank))
    instance = first_step("norm: instance", rank)
    wanted = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[rank - 1](4, affine=True).double()
    wanted.load_state_dict(instance.state_dict())
    torch.testing.assert_close(instance(x), wanted(x))


def test_a_norm_without_a_shift_leaves_the_bias() -> None:
    biases = ["conv.bias" in first_step(f"conv: {{width: 4, norm: {norm}}}", 2).state_dict() for norm in ("rms", "instance", "batch")]
    assert biases == [True, False, False]


@pytest.mark.parametrize("axis", [1, -1])
def test_activations_with_weights(axis: int) -> None:
    x = torch.randn(2, 3, 5, 3)
    prelu, snake, numbers = PReLU(3, axis, 0.25), Snake(3, axis, 2.0), torch.tensor([0.1, 0.5, 0.9])
    prelu.weight.data.copy_(numbers)
    torch.testing.assert_close(prelu(x).movedim(axis, 1), F.prelu(x.movedim(axis, 1), numbers))
    torch.testing.assert_close(snake(x), x + (2 * x).sin() ** 2 / 2)
    torch.testing.assert_close(snake(x + pi / 2), snake(x) + pi / 2)         # what it adds has the period π/α


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convnext_is_its_formula(rank: int) -> None:
    block = first_step("convnext: {width: 4, kernel: 3, expand: 2}", rank).get_submodule("block")
    x, weights = given(rank), dict(block.named_parameters())
    conv = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    y = conv(x, weights["0.conv.weight"], padding=1, groups=4).movedim(1, -1)
    y = F.layer_norm(y, (4,), weights["0.norm.weight"], weights["0.norm.bias"])
    y = F.gelu(y @ weights["1.conv.weight"].flatten(1).T + weights["1.conv.bias"])
    y = (y @ weights["2.conv.weight"].flatten(1).T + weights["2.conv.bias"]) * weights["scale.weight"]
    torch.testing.assert_close(block(x), x + y.movedim(-1, 1))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_inverted_residual_is_its_formula(rank: int) -> None:
    block = first_step("inverted_residual: {width: 4, expand: 3, squeeze: 6}", rank)
    x, weights = given(rank), dict(block.named_parameters())
    conv, ones = (F.conv1d, F.conv2d, F.conv3d)[rank - 1], (1,) * rank
    y = conv(x, weights["0.conv.weight"], weights["0.conv.bias"]).relu()
    y = conv(y, weights["1.conv.weight"], weights["1.conv.bias"], padding=1, groups=12).relu()
    means = y.flatten(2).mean(2)
    hidden = (means @ weights["2.squeeze.weight"].T + weights["2.squeeze.bias"]).relu()
    y = y * (hidden @ weights["2.excite.weight"].T + weights["2.excite.bias"]).sigmoid().view(3, 12, *ones)
    torch.testing.assert_close(block(x), x + conv(y, weights["3.conv.weight"], weights["3.conv.bias"]))
    shrunk = first_step("inverted_residual: {width: 4, stride: 2}", rank)
    assert shrunk(x).shape[2:] == tuple((size + 1) // 2 for size in SIZES[rank])


def test_a_separable_convolution_is_one_with_a_kernel_of_rank_one() -> None:
    step = first_step("separable_conv: {width: 6, kernel: 3, activation: none}", 2)
    weights, x = dict(step.named_parameters()), given(2)
    kernel = weights["1.conv.weight"] * weights["0.conv.weight"].movedim(1, 0)
    bias = weights["1.conv.bias"] + weights["1.conv.weight"].flatten(1) @ weights["0.conv.bias"]
    torch.testing.assert_close(step(x), F.conv2d(x, kernel, bias, padding=1))


def test_blur_pool_smooths_before_it_leaves_out() -> None:
    blur, x = BlurPool((3, 4), (2, 2)).double(), given(2)
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 2)), mode="edge")
    rows = (wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]) / 4
    both = (rows[..., :-3] + 3 * rows[..., 1:-2] + 3 * rows[..., 2:-1] + rows[..., 3:]) / 8
    np.testing.assert_allclose(blur(x).numpy(), both[:, :, ::2, ::2])
    torch.testing.assert_close(blur(torch.ones_like(x)), torch.ones(3, 4, 3, 4, dtype=torch.float64))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_coordinates_go_from_one_border_to_the_other(rank: int) -> None:
    x = given(rank)
    found = Coordinates()(x)
    grids = torch.meshgrid(*(torch.linspace(-1, 1, size, dtype=x.dtype) for size in SIZES[rank]), indexing="ij")
    torch.testing.assert_close(found, torch.cat([x, torch.stack(grids).expand(3, rank, *SIZES[rank])], 1))
    assert not Coordinates()(torch.zeros(1, 1, 1)).any()


def test_fourier_features_have_the_gaussian_kernel() -> None:
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0.0], [0.1, 0.2]])
    features = FourierFeatures(2, 40_000, 0.7, 1)(x)
    near = float(features[0] @ features[1]) / 20_000
    assert near == pytest.approx(exp(-2 * pi**2 * 0.7**2 * 0.05), abs=0.02)


def test_norms_and_activations_before_their_layers_stay_before_them() -> None:
    text = ("data: digits\nencoder: [conv: 4, residual: [norm: layer, activation: elu, conv: {width: 6, activation: none}, activation: silu, "
            "conv: {width: 4, kernel: 1, activation: none}]]\nlatent: {type: continuous, dim: 2}\n")
    decoder = load("spec.yaml", text=text).require().decoder
    first = next(node for node in decoder.children if node.kind == "residual")
    assert [(child.kind, child.output.features) for child in first.children if not child.inserted] == [
        ("silu", 4), ("conv", 4), ("layer_norm", 4), ("elu", 4), ("conv", 6)]


def test_films_are_grids_of_three_axes(tmp_path: Path) -> None:
    np.save(tmp_path / "films.npy", np.random.default_rng(0).integers(0, 255, (20, 3, 5, 8, 6), dtype=np.uint8))
    text = ("data: {path: films.npy, split: {validation: 4, test: 4}}\nencoder: [conv: {width: 4, stride: [1, 2, 2]}]\n"
            "latent: {type: continuous, dim: 2}\n")
    loaded = load(tmp_path / "films.yaml", text=text)
    plan = loaded.require()
    assert str(plan.input) == "grid(3; 5×8×6)"
    batch = SplitLoader(load_splits(plan.spec.data, Where(tmp_path)).train, torch.device("cpu")).take(torch.arange(6))
    turn, = turns(plan, build(plan), batch)
    assert torch.isfinite(turn.loss) and all(gradient is not None for gradient in turn.gradients.values())
