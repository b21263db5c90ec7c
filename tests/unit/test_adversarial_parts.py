"""Adversarial parts against their papers: slopes, spectral norm, VAE/GAN, categories of an adversarial code, WAE-GAN."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.code import Code
from aebuild.modules.critics import Critic, squared_slope, wasserstein
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.spectral_norm import largest_singular_value, normalise


def planned(text: str) -> tuple[Plan, Autoencoder]:
    loaded = load("spec.yaml", text=f"{text}train: {{steps: 2, batch_size: 8, speed: exact}}\n")
    assert [str(found.message) for found in loaded.diagnostics] == []
    return loaded.require(), build(loaded.require())


def moved(model: Autoencoder, term: Tensor) -> set[str]:
    """The halves that get a gradient from a term."""
    model.zero_grad()
    term.sum().backward()  # type: ignore[no-untyped-call]
    return {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None and parameter.grad.any()}


# ------------------------------------------------------------------------------------------------------------------ slopes


def test_r1_and_the_gradient_penalty_of_a_linear_critic() -> None:
    """The gradient of w·x is w everywhere, so R1 is γ/2·|w|² and WGAN-GP λ·(|w| − 1)²."""
    network = nn.Linear(3, 1, bias=False).double()
    w = network.weight.detach().square().sum()
    x, made = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(squared_slope(network, x).detach(), w.expand(5))
    outputs = Outputs(Batch(x, x), Code(made), params=made, mean=lambda given: given)
    for weights, extra in (({"r1": 0.6}, 0.3 * w), ({"gradient_penalty": 10.0}, 10 * (w.sqrt() - 1) ** 2)):
        found = Critic(network, "output", "wasserstein", **weights).tell_apart(outputs)       # type: ignore[arg-type]
        torch.testing.assert_close(found, wasserstein(network(x), real=True) + wasserstein(network(made), real=False) + extra)
        rest = wasserstein(network(x), real=True) + wasserstein(network(made), real=False)
        gradient, = torch.autograd.grad((found - rest).mean(), network.weight)              # of the weight alone, through the slope
        size = network.weight.detach()
        wanted = weights["r1"] * size if "r1" in weights else 20 * (w.sqrt() - 1) * size / w.sqrt()
        torch.testing.assert_close(gradient, wanted)


def test_the_largest_singular_value_and_its_gradient() -> None:
    random = torch.Generator().manual_seed(1)
    for shape in ((4, 9), (9, 4), (6, 6)):
        matrix = torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_()
        found = largest_singular_value(matrix)
        torch.testing.assert_close(found, torch.linalg.matrix_norm(matrix, 2), rtol=1e-6, atol=0)
        gradient, = torch.autograd.grad(found, matrix)
        left, _, right = torch.linalg.svd(matrix)
        torch.testing.assert_close(gradient, torch.outer(left[:, 0], right[0]), rtol=1e-2, atol=1e-3)


def test_a_normalised_network_is_that_of_torch() -> None:
    plain = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2, bias=False))
    x = torch.randn(5, 2, 4, 4)
    state = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    normalise(plain)
    found = plain(x)
    assert list(plain.state_dict()) == list(state)
    other = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2, bias=False))
    other.load_state_dict(state)
    for layer in (other[0], other[3]):
        parametrizations.spectral_norm(layer, n_power_iterations=50)
    torch.testing.assert_close(found, other.eval()(x), rtol=1e-3, atol=1e-4)


# ----------------------------------------------------------------------------------------------------------------- VAE/GAN

VAE_GAN = """\
data: {type: wine, limit: 40}
encoder: [linear: 8]
latent: {type: gaussian, dim: 2}
losses:
  reconstruction: {type: mse, weight: 0}
  critic: {type: vae_gan, network: [linear: {width: 5, activation: tanh}, linear: {width: 4, activation: tanh}], layer: 0}
"""


def test_a_vae_gan_moves_what_the_paper_moves() -> None:
    plan, model = planned(VAE_GAN)
    batch = Batch(x := torch.randn(6, *plan.input.shape), x)
    functions = model.penalties.critic.losses("critic")
    outputs = model.run(batch)
    assert moved(model, functions["critic"](outputs)) == {"decoder", "penalties"}       # a player's turn keeps the critic's out
    assert moved(model, functions["critic_features"](model.run(batch))) == {"encoder", "latent", "decoder", "penalties"}
    assert moved(model, functions["critic_discriminator"](model.run(batch).detached())) == {"penalties"}
    players = {player.name: player for player in plan.phases[0].players}
    assert not any(path.startswith("penalties") for path in players["autoencoder"].modules)
    assert players["autoencoder"].terms == ("reconstruction", "kl", "critic", "critic_features")


def test_the_features_and_verdicts_of_a_vae_gan() -> None:
    plan, model = planned(VAE_GAN)
    x = torch.randn(6, *plan.input.shape)
    outputs, network = model.run(Batch(x, x)), model.penalties.critic.network
    first = nn.Sequential(*(step for name, step in network.named_children() if name.split("_")[0] == "0"))
    functions = model.penalties.critic.losses("critic")
    torch.testing.assert_close(functions["critic_features"](outputs), (first(outputs.reconstruction) - first(x)).square() / 2)
    drawn = torch.ones(6, 2)
    outputs.draw = lambda n: drawn[:n]
    made = model.decode(drawn)
    torch.testing.assert_close(functions["critic"](outputs), F.softplus(-network(outputs.reconstruction)).mean(1)
                               + F.softplus(-network(made)).mean(1))
    told = F.softplus(-network(x)) + F.softplus(network(outputs.reconstruction)) + F.softplus(network(made))
    torch.testing.assert_close(functions["critic_discriminator"](outputs), told.squeeze(1))


# ----------------------------------------------------------------------------------------------------- categories of a code

CATEGORIES = """\
data: {type: digits, limit: 60, labels: 20}
encoder: [linear: 8]
latent: {type: adversarial, dim: 2, categories: 10, discriminator: {layer: linear, width: 4}}
losses: {supervision: {type: categories, weight: 0.5}}
"""


def test_a_code_of_values_and_categories() -> None:
    plan, model = planned(CATEGORIES)
    x = torch.rand(5, *plan.input.shape)
    code = model.encode(x).value
    assert code.shape == (5, 12)
    torch.testing.assert_close(code[:, 2:].sum(1), torch.ones(5))
    drawn = model.latent.draw(200)
    assert drawn.shape == (200, 12)
    assert set(drawn[:, 2:].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(drawn[:, 2:].sum(1), torch.ones(200))
    outputs, functions = model.run(Batch(x, x)), model.latent.losses()
    chances = model.latent.categorical_discriminator(code[:, 2:])
    torch.testing.assert_close(functions["categorical_adversarial"](outputs), F.softplus(-chances).squeeze(1))
    torch.testing.assert_close(functions["adversarial"](outputs), F.softplus(-model.latent.discriminator(code[:, :2])).squeeze(1))
    players = {player.name: player for player in plan.phases[0].players}
    assert players["generator"].terms == ("adversarial", "categorical_adversarial")
    assert players["discriminator"].modules == ("latent.discriminator", "latent.categorical_discriminator")


def test_supervision_is_the_mean_over_known_labels() -> None:
    plan, model = planned(CATEGORIES)
    x, labels = torch.rand(5, *plan.input.shape), torch.tensor([3, -1, 7, -1, 0])
    outputs = model.run(Batch(x, x, labels=labels))
    term = model.penalties.supervision.losses("supervision")["supervision"](outputs)
    known = labels >= 0
    chances = outputs.code.value[:, 2:][known, labels[known]]
    torch.testing.assert_close(term.mean(), -chances.log().mean())
    assert term[~known].tolist() == [0, 0]


@pytest.mark.parametrize(("text", "said"), [
    ("data: digits\nlatent: {type: continuous, dim: 4}\nlosses: {supervision: categories}", "categories of the code"),
    ("data: photos\nlatent: {type: adversarial, dim: 2, categories: 4}\nlosses: {supervision: categories}", "have none"),
    ("data: digits\nlatent: {type: adversarial, dim: 2, categories: 4}\nlosses: {supervision: categories}", "10 classes"),
    ("data: wine\nlatent: {type: continuous, dim: 4}\nlosses: {critic: patch_gan}", "patches are of a grid"),
    ("data: digits\nlatent: {type: gaussian, dim: 4}\nlosses: {critic: {type: vae_gan, layer: 2}}", "the last one is layer 1"),
    ("data: digits\nlatent: {type: continuous, dim: 4}\nlosses: {critic: vae_gan}", "not known before"),
])
def test_what_does_not_fit_is_refused(text: str, said: str, tmp_path: Path) -> None:
    found = load(tmp_path / "spec.yaml", text=f"encoder: [linear: 8]\n{text}\n").errors
    assert [error.code for error in found] == ["AE314"]
    assert said in found[0].message


# ----------------------------------------------------------------------------------------------------------------- WAE-GAN


def test_a_joint_adversarial_code_is_the_autoencoders_own() -> None:
    plan, model = planned("data: {type: wine, limit: 40}\nencoder: [linear: 8]\nlatent: {type: adversarial, dim: 2, joint: true, "
                          "discriminator: {layer: linear, width: 4}}\nlosses: {adversarial: 10}\n")
    first, second = plan.phases[0].players
    assert (first.name, first.terms) == ("autoencoder", ("reconstruction", "adversarial"))
    assert (second.name, second.modules) == ("discriminator", ("latent.discriminator",))
    assert plan.term("adversarial").config.weight == 10
    x = torch.randn(6, *plan.input.shape)
    assert {"encoder", "latent"} <= moved(model, model.latent.losses()["adversarial"](model.run(Batch(x, x))))
