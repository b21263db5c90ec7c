"""An ejected file is the built model: same weights, same outputs, losses and gradients to the last bit, without aebuild."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from covering import covering
from ejected_files import fresh
from hypothesis import given, settings
from models import Turn, fine, samples, turns
from test_plugin_parts import plugged

from aebuild.compile.build import build
from aebuild.compile.front import Loaded, load
from aebuild.lang.diagnostics import SpecError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.results.ejection.eject import eject
from aebuild.results.ejection.loss_functions import loss_name
from aebuild.results.ejection.phase_functions import stretches
from aebuild.results.shipped import shipped
from aebuild.trainer.phase import clock_of
from specs import specs


def check(loaded: Loaded) -> None:
    """That the file of a spec is its model."""
    plan = loaded.plan
    assert plan is not None and loaded.info is not None
    source = eject(plan).source
    assert not {name.split(".")[0] for name in imported(source)} & {"aebuild", "pydantic", "yaml"}
    space = fresh(source)
    built, ejected = build(plan).eval(), space["Autoencoder"]()
    assert list(built.state_dict()) == list(ejected.state_dict())
    ejected.load_state_dict(built.state_dict())
    ejected.eval()
    batch = samples(loaded.info, plan, 6)
    outputs = []
    for model, randoms in ((built, random_modules(built)), (ejected, space["random_modules"](ejected))):
        space["reseed"](randoms, 3, 1)
        with torch.no_grad():
            outputs.append(model(batch.x, *([] if batch.conditions is None else [batch.conditions])))
    assert torch.equal(*outputs)
    check_losses(loaded, built, ejected, batch, space)


def check_losses(loaded: Loaded, built: Autoencoder, ejected: Any, batch: Batch, space: dict[str, Any]) -> None:
    """That every player of every phase on samples gets the same terms, loss and gradients."""
    plan = loaded.plan
    assert plan is not None
    same = space["Batch"](batch.x, batch.target, batch.labels, batch.conditions)
    for stretch in stretches(plan, ()):
        if stretch.phase.data != "samples":
            continue
        clock, outputs = clock_of(stretch.phase, len(batch.x)), None
        run = ejected.run if stretch.phase.pair is None else partial(space[f"{stretch.name}_pass"], ejected)
        space["set_modes"](ejected, stretch.moving, stretch.frozen)
        for dial in plan.dials:
            setattr(ejected.get_submodule(dial.path), dial.attribute, clock.dial(dial.dial, 0))
        for number, (turn, player) in enumerate(zip(turns(replace(plan, phases=(stretch.phase,)), built, batch), stretch.phase.players,
                                                    strict=True)):
            ejected.zero_grad(set_to_none=True)
            space["train_only"](ejected, space["parameters_under"](ejected, player.modules, stretch.frozen))
            space["begin_noise"](space["random_modules"](ejected), 0, 0)
            if number and not player.through:
                outputs = outputs.detached()  # type: ignore[attr-defined]
            else:
                with space["unlearned"](ejected) if number else nullcontext():
                    outputs = run(same)
            terms = ejected.terms(outputs, player.terms)
            loss = space[loss_name(plan, stretch.phase, player)](terms, 0, clock.per_epoch, clock.total)
            assert terms.keys() == turn.terms.keys()
            assert all(torch.equal(terms[name], turn.terms[name]) for name in terms)
            assert torch.equal(loss, turn.loss)
            loss.backward()
            check_gradients(turn, ejected)


def check_gradients(turn: Turn, ejected: Any) -> None:
    """That the parameters of the player, and no others, got the same gradients."""
    for name, parameter in ejected.named_parameters():
        expected = turn.gradients.get(name)
        assert (parameter.grad is None) == (expected is None), name
        assert expected is None or torch.equal(expected, parameter.grad), name


def imported(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(str(node.module))
    return found


@pytest.mark.slow
@settings(max_examples=20)
@given(specs())
def test_ejected_source_is_the_model(text: str) -> None:
    check(fine(text))


@pytest.mark.slow
@pytest.mark.parametrize("name", covering())
def test_every_shipped_spec_ejects(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(shipped()[name])
    bound = None if loaded.plan is None else loaded.plan.spec.losses.bound
    if loaded.plan is not None and bound is not None and (bound.joined or bound.balances
                                    or any(getattr(part, "follows", False) for part in loaded.plan.spec.latent.parts())):
        with pytest.raises(SpecError, match="AE530"):
            eject(loaded.plan)
    elif loaded.plan is not None and loaded.plan.params < 3_000_000:
        check(loaded)


def test_a_module_of_a_plug_in_is_refused() -> None:
    with plugged(Path(__file__).parents[1] / "plugins" / "planar.py") as parts:
        example = next(part.example for part in parts if part.example)
        loaded = load("spec.yaml", text=f"name: plugged\n{example}")
        with pytest.raises(SpecError, match="AE530"):
            eject(loaded.require())
