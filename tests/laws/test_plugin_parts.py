"""Parts of one file outside the package do all that those inside do: they train, resume, are evaluated, opened and drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from models import samples

from aebuild import open_run, train
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.plugins import load_plugins, loaded_plugins
from aebuild.lang.part import Part
from aebuild.modules.collectives import CrossSampleError
from aebuild.results.experiment import resume
from aebuild.results.revision import Request
from aebuild.trainer.phase import ActivePhase, reseed_all

FILES = sorted((Path(__file__).parents[1] / "plugins").glob("*.py"))
STEPS = 6


@contextmanager
def plugged(path: Path) -> Iterator[tuple[type[Part], ...]]:
    """The parts of a file, of which nothing is known before or after."""
    plugin, = load_plugins([path])
    try:
        yield plugin.parts
    finally:
        for each in loaded_plugins():
            each.take_back()


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def part(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The part of a file that carries an example."""
    with plugged(request.param) as parts:
        yield next(part for part in parts if part.example)


@pytest.mark.slow
def test_one_file_is_enough(part: Any, tmp_path: Path) -> None:
    text = f"name: plugged\n{part.example}train: {{steps: {STEPS}, batch_size: 32, speed: exact, keep: last}}\n"
    loaded = load(tmp_path / "spec.yaml", text=text)
    assert loaded.errors == [], part.example
    plan = loaded.require()
    outcome = train(loaded, folder=tmp_path / "run")
    assert outcome.result.steps == STEPS * len(plan.phases)
    scores = outcome.evaluation.model
    assert {term.name for term in plan.terms} == set(scores.terms)
    assert all(torch.tensor(value).isfinite() for value in scores.terms.values())

    longer = Request(load(tmp_path / "run" / "spec.yaml", [f"train.steps={2 * STEPS}"]), allow=True)
    again = resume(tmp_path / "run", change=longer)
    assert again.result.steps == STEPS * len(plan.phases) + STEPS
    whole = train(load(tmp_path / "spec.yaml", [f"train.steps={2 * STEPS}"], text=text), folder=tmp_path / "whole")
    if len(plan.phases) == 1:                # of several only the last one goes on
        for name, tensor in whole.result.model.state_dict().items():
            assert torch.equal(again.result.model.state_dict()[name], tensor), name
        assert again.evaluation.to_json()["model"] == whole.evaluation.to_json()["model"]

    opened = open_run(tmp_path / "run").model
    assert opened.sample(3).shape == (3, *plan.target.shape)
    x = torch.rand(2, *plan.input.shape)
    assert opened.reconstruct(x).isfinite().all()


def test_parts_of_a_batch_make_the_whole(part: Any, tmp_path: Path) -> None:
    """Also where a sample has several draws: loss and gradient of a batch do not depend on how many parts it is computed in."""
    loaded = load(tmp_path / "spec.yaml", text=f"{part.example}train: {{batch_size: 10, speed: exact}}\n")
    plan, found = loaded.require(), []
    assert loaded.info is not None
    for parts in (1, 3):
        model = build(plan)
        active = ActivePhase(plan, plan.phases[0], model, frozenset(name for name, _ in model.named_parameters()), 10)
        active.enter(0)
        player, seed = active.players[0], partial(reseed_all, active.randoms, 0, 0)
        player.apply = lambda step: None  # type: ignore[method-assign]
        active.begin(0)
        try:
            done = player.update(samples(loaded.info, plan, 10), 0, seed, parts)
        except CrossSampleError:
            assert any(word in part.example for word in ("codebook", "free_bits")) and parts > 1        # where samples meet
            return
        found.append((done.loss.detach(), [parameter.grad for parameter in player.params]))
    (loss, whole), (other, apart) = found
    torch.testing.assert_close(other, loss, rtol=1e-4, atol=1e-4)
    for one, two in zip(whole, apart, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-3)


def test_every_extension_is_there() -> None:
    wanted = {"fsq", "planar", "learned_mixture", "autoregressive", "masked", "patchgan", "iwae", "ssim", "held_out"}
    assert wanted <= {path.stem for path in FILES}
    assert load_plugins() == ()


@pytest.mark.parametrize(("file", "spec", "code", "path"), [
    ("fsq", "latent: {type: codebook, codes: 8, quantizer: rounded}", "AE348", "latent"),
    ("masked", "latent: {type: continuous, dim: 4}\nlosses: {reconstruction: masked_mse}", "AE349", "losses.reconstruction"),
    ("iwae", "latent: {type: continuous, dim: 4}\nlosses: {bound: own_iwae}", "AE351", "losses.bound"),
    ("iwae", "latent: {type: gaussian, dim: 4}\nlosses: {bound: own_iwae, kl: {free_bits: 1}}", "AE351", "losses.bound"),
    ("held_out", "latent: {type: continuous, dim: 4}\nevaluate: {tasks: [held_out: {label: 10}]}", "AE371", "evaluate.tasks.0"),
])
def test_what_does_not_fit_is_refused(file: str, spec: str, code: str, path: str) -> None:
    with plugged(FILES[0].with_name(f"{file}.py")):
        found = load("spec.yaml", text=f"data: digits\nencoder: [linear: 8]\n{spec}\n").errors
    assert [(error.code, error.path) for error in found] == [(code, path)]
