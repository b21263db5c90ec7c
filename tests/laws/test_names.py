"""Any name will do: a head may be called like an attribute of torch's modules, and what is taken is refused."""

from __future__ import annotations

import json

import pytest
import torch
from models import fine, samples, turns
from torch import nn

from aebuild import open_run, train
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.user_names import known_names
from aebuild.modules.children import Children

LATENTS = ("gaussian, dim: 2", "codebook, dim: 2, codes: 8", "codebook, dim: 2, codes: 8, update: gradient", "continuous, dim: 2",
           "adversarial, dim: 2")


def spec(heads: list[str], latent: str = "continuous, dim: 2") -> str:
    """Digits, few layers and these heads."""
    return (f"name: names\ndata: digits\nencoder: [linear: 8]\nlatent: {{type: {latent}}}\n"
            f"heads: {{{', '.join(f'{json.dumps(name)}: {{}}' for name in heads)}}}\ntrain: {{steps: 1, speed: exact}}\n")


def test_heads_named_like_every_attribute_of_a_module_train(tmp_path):
    attributes = {name for cls in (nn.Module, nn.ModuleDict, nn.Sequential, nn.Linear, Children) for name in (*dir(cls), *vars(cls))}
    attributes |= {name for module in (nn.Linear(1, 1), Children({})) for name in vars(module)}
    names = sorted(attributes - set(known_names()))
    assert {"keys", "items", "forward", "training", "type", "update", "pop", "__class__", "_modules"} <= set(names)
    loaded = load(tmp_path / "names.yaml", text=spec(names))
    assert loaded.diagnostics == []
    outcome = train(loaded, folder=tmp_path / "run")
    again = open_run(tmp_path / "run")
    assert {key.split(".")[1] for key in again.model.state_dict() if key.startswith("heads.")} == set(names)
    assert all(torch.equal(value, again.model.state_dict()[name]) for name, value in outcome.result.model.state_dict().items())
    assert set(names) <= set(outcome.evaluation.model.terms)


@pytest.mark.parametrize("latent", LATENTS)
def test_a_latent_declares_every_name_it_uses(latent):
    loaded = fine(spec(["digit"], latent))
    assert loaded.plan is not None
    model, found = build(loaded.plan), set()
    batch = samples(loaded.info, loaded.plan, 8)
    for phase in loaded.plan.phases:
        for player in phase.players:
            outputs = model.run(batch)
            found |= {player.name, *model.losses(outputs, player.terms), *(name.removesuffix(" per") for name in outputs.metrics)}
    assert found - {"digit", "digit_accuracy"} <= set(known_names())
    assert turns(loaded.plan, model, batch)


@pytest.mark.parametrize("name", ["kl", "perplexity", "active_units", "sparsity", "discriminator", "loss", "psnr", "autoencoder"])
def test_a_taken_name_is_refused_at_the_name(name):
    found = load("spec.yaml", text=spec([name])).errors
    assert [(error.code, error.path) for error in found] == [("AE114", f"heads.{name}")]
    assert found[0].span is not None
    assert found[0].span.text.lines[4][found[0].span.column - 1:].startswith(f'"{name}": ')
