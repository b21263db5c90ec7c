"""Penalties on how fast halves change, and on what the first units of a code tell."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.collectives import CrossSampleError
from aebuild.modules.jacobians import JacobianNorm
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.penalties import Decorrelation
from aebuild.trainer.phase import ActivePhase, reseed_all
from aebuild.trainer.speed.execution import Execution


def model_of(losses: str, encoder: str = "[]", latent: str = "dim: 3", decoder: str = "[]", data: str = "digits") -> Autoencoder:
    text = f"data: {data}\nencoder: {encoder}\nlatent: {{type: continuous, {latent}}}\ndecoder: {decoder}\nlosses: {{{losses}}}\n"
    loaded = load("spec.yaml", text=text)
    assert loaded.plan is not None, loaded.errors
    return build(loaded.plan)


def passed(model: Autoencoder, seed: int = 0, rows: int = 5, shape: tuple[int, ...] = (1, 8, 8)) -> Outputs:
    x = torch.rand(rows, *shape, generator=torch.Generator().manual_seed(seed))
    return model.run(Batch(x, x))


def term(model: Autoencoder, outputs: Outputs, name: str) -> torch.Tensor:
    return model.losses(outputs, [name])[name]


def moved(model: Autoencoder, raw: torch.Tensor) -> set[str]:
    """The parameters that a term pulls at."""
    model.zero_grad()
    raw.sum().backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}


def test_contraction_of_one_sigmoid_layer_has_a_closed_form() -> None:
    """Rifai et al. (2011), equation 9: Σ_j (h_j (1 − h_j))² Σ_i W_ji²."""
    model = model_of("contractive: 0.1", latent="dim: 3, activation: sigmoid")
    outputs = passed(model)
    found = term(model, outputs, "contractive")
    h, weight = outputs.code.value, model.latent.projection.weight
    torch.testing.assert_close(found, (h * (1 - h)).square() @ weight.square().sum(1))
    assert moved(model, found) == {"latent.projection.weight", "latent.projection.bias"}


def test_signs_estimate_it_without_bias() -> None:
    """The mean over all signs of |vᵀJ|² is the exact norm; drawn ones come near it."""
    layer, x = nn.Linear(4, 3), torch.randn(1, 4).expand(6000, 4).clone().requires_grad_()
    found = JacobianNorm(1).norm(torch.tanh(layer(x)), x, graph=False)
    exact = JacobianNorm().norm(torch.tanh(layer(x[:1])), x, graph=False)[:1]
    assert found.mean().item() == pytest.approx(exact.item(), rel=0.05)
    assert found.std() > 0


def test_the_gradient_of_the_decoder_is_its_jacobian() -> None:
    model = model_of("decoder_gradient: {draws: 3000, weight: 0.1}", decoder="[linear: {width: 6, activation: tanh}]", data="wine")
    outputs = passed(model, rows=1, shape=(13,))
    found = term(model, outputs, "decoder_gradient")
    jacobian: Any = torch.autograd.functional.jacobian(lambda z: model.decode(z), outputs.code.value)  # type: ignore[no-untyped-call]
    assert found.item() == pytest.approx(jacobian.square().sum().item(), rel=0.1)
    assert moved(model, found) == {"decoder.0.linear.weight", "decoder.0.linear.bias", "decoder.output.linear.weight"}


def test_validation_measures_without_a_graph() -> None:
    model = model_of("contractive: 1")
    with torch.no_grad():
        assert not term(model, passed(model), "contractive").requires_grad


@pytest.mark.parametrize("encoder", ["{layer: lstm, width: 4}", "{layer: transformer, width: 8, heads: 2}",
                                     "[conv: {width: 4, stride: 2, norm: batch}]"])
def test_every_kind_of_encoder_has_a_gradient_of_its_gradient(encoder: str) -> None:
    sequence = "conv" not in encoder
    data = "{type: arrays, path: x.npy, shape: [5, 3]}" if sequence else "digits"
    model = model_of("contractive: {draws: 1}", encoder=encoder, decoder="[linear: 8]", data=data)
    half = [] if "lstm" in encoder else [Execution(precision="bfloat16")]              # which CPUs do not compute
    for execution in (Execution(), *half, Execution(recompute=("encoder", "decoder"))):
        execution.prepare(model)
        before = {name: value.clone() for name, value in model.named_buffers()}
        outputs = passed(model, shape=(5, 3) if sequence else (1, 8, 8))
        learned = {name: value.clone() for name, value in model.named_buffers()}
        found = term(model, outputs, "contractive")
        assert found.isfinite().all()
        assert "latent.projection.weight" in moved(model, found)
        assert all(torch.equal(learned[name], value) for name, value in model.named_buffers()), before


def test_weights_of_the_decoder() -> None:
    model = model_of("decoder_weights: 0.1", decoder="[linear: 4]")
    found = term(model, passed(model), "decoder_weights")
    torch.testing.assert_close(found, sum(p.square().sum() for p in model.decoder.parameters()))
    assert all(name.startswith("decoder.") for name in moved(model, found))


@pytest.mark.parametrize("normalize", [False, True])
def test_decorrelation_is_half_the_off_diagonal(normalize: bool) -> None:
    """Cogswell et al. (2016), equation 2: ½ (‖C‖² − ‖diag C‖²)."""
    code = torch.randn(7, 4, dtype=torch.float64)
    matrix = np.corrcoef(code.numpy().T) if normalize else np.cov(code.numpy().T, bias=True)
    wanted = 0.5 * (np.square(matrix).sum() - np.square(np.diag(matrix)).sum())
    assert Decorrelation(1, normalize=normalize)(code).item() == pytest.approx(wanted, rel=1e-4)
    grid = code.view(7, 4, 1, 1).expand(7, 4, 2, 3)
    assert Decorrelation(1, normalize=normalize)(grid).item() == pytest.approx(wanted, rel=1e-4)
    last = code.view(7, 1, 4).expand(7, 3, 4)
    assert Decorrelation(-1, normalize=normalize)(last).item() == pytest.approx(wanted, rel=1e-4)


def test_nested_adds_the_reconstructions_of_prefixes() -> None:
    model = model_of("nested: {units: [1, 2]}")
    outputs = passed(model)
    code, x = outputs.code.value, outputs.batch.x
    wanted = sum((model.decode(torch.cat([code[:, :k], torch.zeros(5, 3 - k)], 1)) - x).square().flatten(1).sum(1) for k in (1, 2))
    torch.testing.assert_close(term(model, outputs, "nested"), wanted)


def test_nested_of_a_grid_keeps_channels() -> None:
    model = model_of("nested: {units: [1]}", encoder="[conv: {width: 4, stride: 2}]", latent="dim: 3, per: position", decoder="[conv: 4]")
    outputs = passed(model)
    kept = outputs.code.value.clone()
    kept[:, 1:] = 0
    wanted = (model.decode(kept) - outputs.batch.x).square().flatten(1).sum(1)
    torch.testing.assert_close(term(model, outputs, "nested"), wanted)


def test_what_does_not_fit_is_refused() -> None:
    def told(losses: str, latent: str = "dim: 3") -> list[str]:
        text = f"data: digits\nencoder: []\nlatent: {{type: continuous, {latent}}}\nlosses: {{{losses}}}\n"
        return [error.code for error in load("spec.yaml", text=text).errors]

    assert told("nested: {units: [3]}") == ["AE314"]
    assert told("decorrelation: 1", "dim: 1") == ["AE314"]


class Handed:
    """Stands for an optimiser that leaves the weights alone."""

    def __init__(self, params: list[nn.Parameter]) -> None:
        self.params = params
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.params:
            parameter.grad = None

    def step(self) -> None:
        """Nothing moves."""


def gradients(text: str, parts: int) -> dict[str, torch.Tensor | None]:
    """Of a batch of seven that is computed in so many parts."""
    loaded = load("spec.yaml", text=text)
    assert loaded.plan is not None, loaded.errors
    model = build(loaded.plan)
    x = torch.rand(7, *loaded.plan.input.shape, generator=torch.Generator().manual_seed(1))
    active = ActivePhase(loaded.plan, loaded.plan.phases[0], model, frozenset(name for name, _ in model.named_parameters()), 7)
    active.enter(0)
    player, = active.players
    player.optimizer = Handed(player.params)  # type: ignore[assignment]
    player.update(Batch(x, x), 0, partial(reseed_all, active.randoms, 3, 0), parts)
    return {name: parameter.grad for name, parameter in player.named}


APART = {"penalties": "data: digits\nencoder: [linear: 6]\nlatent: {type: continuous, dim: 3}\n"
                      "losses: {contractive: {draws: 2}, decoder_gradient: {draws: 2}, nested: {units: [1]}, code_norm: 0.1, decoder_weights: 0.1}\n",
         "gates": "data: wine\nencoder: []\nlatent: {type: sparse, dim: 20, activation: gated, centred: true}\ndecoder: []\nlosses: {gate: 0.2}\n",
         "thresholds": "data: wine\nencoder: []\nlatent: {type: sparse, dim: 20, activation: {type: jump_relu, bandwidth: 0.3}}\nlosses: {l0: 0.2}\n",
         "compressed": "data: digits\nencoder: {layer: conv, width: 4, stride: 2}\nlosses: {rate: 0.1}\n"
                       "latent: {type: compressed, dim: 3, per: position, prior: {type: hyperprior, dim: 2}}\n"}


@pytest.mark.parametrize("name", APART)
def test_parts_of_a_batch_add_up_to_its_gradient(name: str) -> None:
    whole, parts = gradients(APART[name], 1), gradients(APART[name], 3)
    for key, gradient in whole.items():
        found = parts[key]
        assert gradient is not None and found is not None, key
        torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("more", ["{type: sparse, dim: 20, activation: {type: batch_top_k, k: 2}}", "{type: continuous, dim: 3}\nlosses: {decorrelation: 1}"])
def test_what_wants_the_whole_batch_says_so(more: str) -> None:
    with pytest.raises(CrossSampleError):
        gradients(f"data: wine\nencoder: []\nlatent: {more}\n", 3)
