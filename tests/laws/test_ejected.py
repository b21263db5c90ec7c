"""An ejected file is the built model: same weights, same outputs, losses and gradients to the last bit, without aebuild."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from models import fine, samples, turns
from test_plugin_parts import plugged

from aebuild.compile.build import build
from aebuild.compile.front import Loaded, load
from aebuild.lang.diagnostics import SpecError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.results.ejection.eject import _phase, eject
from aebuild.results.shipped import shipped
from aebuild.trainer.phase import clock_of, reseed_all
from specs import specs

NAMES = sorted(shipped())


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
            outputs.append(model(batch.x))
    assert torch.equal(*outputs)
    check_losses(loaded, built, ejected, batch, space)


def fresh(source: str) -> dict[str, Any]:
    """The names that the file defines, as a module of its own."""
    module = sys.modules["ejected"] = ModuleType("ejected")        # dataclasses look there
    exec(compile(source, "ejected.py", "exec"), vars(module))
    return vars(module)


def check_losses(loaded: Loaded, built: Autoencoder, ejected: Any, batch: Batch, space: dict[str, Any]) -> None:
    """That every player of the loop's phase gets the same terms, loss and gradients."""
    plan = loaded.plan
    assert plan is not None
    phase = _phase(plan)[0]
    if phase.freeze or phase.pair is not None:
        return
    clock, outputs = clock_of(phase, len(batch.x)), None
    same = space["Batch"](batch.x, batch.target, batch.labels)
    ejected.train()
    for number, (turn, player) in enumerate(zip(turns(replace(plan, phases=(phase,)), built, batch), phase.players, strict=True)):
        ejected.zero_grad(set_to_none=True)
        reseed_all(space["random_modules"](ejected), 0, 0)
        if number and not player.through:
            outputs = outputs.detached()  # type: ignore[attr-defined]
        elif number:
            with space["unlearned"](ejected):
                outputs = ejected.run(same)
        else:
            outputs = ejected.run(same)
        terms = ejected.terms(outputs, player.terms)
        loss = space[f"{player.name}_loss"](terms, 0, clock.per_epoch, clock.total)
        assert terms.keys() == turn.terms.keys()
        assert all(torch.equal(terms[name], turn.terms[name]) for name in terms)
        assert torch.equal(loss, turn.loss)
        loss.backward()
        found = dict(ejected.named_parameters())
        for name, gradient in turn.gradients.items():
            assert gradient is None or torch.equal(gradient, found[name].grad), name


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
@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_spec_ejects(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(shipped()[name])
    if loaded.plan is not None and loaded.plan.params < 3_000_000:
        check(loaded)


def test_a_module_of_a_plug_in_is_refused() -> None:
    with plugged(Path(__file__).parents[1] / "plugins" / "planar.py") as parts:
        example = next(part.example for part in parts if part.example)
        loaded = load("spec.yaml", text=f"name: plugged\n{example}")
        with pytest.raises(SpecError, match="AE530"):
            eject(loaded.require())
