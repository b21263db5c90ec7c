"""The public functions with whatever a caller would try."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import aebuild
from aebuild.lang.diagnostics import SpecError

SPEC = {"name": "tiny", "data": "digits", "encoder": {"layer": "linear", "width": [16, 8]}, "latent": {"type": "continuous", "dim": 4},
        "train": {"epochs": 1, "batch_size": 256, "speed": "exact"}}


def test_the_public_names_are_listed():
    assert set(aebuild.__all__) <= set(dir(aebuild))
    assert {name for name in dir(aebuild) if not name.startswith("_")} == set(aebuild.__all__) - {"__version__"}
    assert all(getattr(aebuild, name).__doc__ for name in aebuild.__all__[1:])
    assert (Path(aebuild.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="it has build, load"):
        aebuild.fit  # noqa: B018


@pytest.mark.parametrize("settings", ["latent.dim=2", ["latent.dim=2"], {"latent.dim": 2}, ("--epochs=3", "latent.dim=2")])
def test_settings_are_one_several_or_a_dict(settings):
    assert aebuild.load(SPEC, settings).spec.latent.dim == 2


def test_findings_in_a_dict_point_at_paths():
    found = aebuild.load({**SPEC, "encoder": {"layer": "linear", "width": [16, 0]}, "train": {"epochs": "five"}}).diagnostics
    assert {finding.span.text.name for finding in found} == {"encoder.width.1", "train.epochs"}
    assert aebuild.load({**SPEC, "train": {"clip": float("nan")}}).errors[0].span.text.name == "train.clip"


def test_a_spec_of_any_kind_is_planned_and_built(tmp_path):
    loaded = aebuild.load(SPEC)
    models = [aebuild.build(SPEC), aebuild.build(loaded), aebuild.build(aebuild.plan(SPEC)), aebuild.build(aebuild.plan(loaded))]
    first = models[0].state_dict()
    assert all(torch.equal(first[name], other.state_dict()[name]) for other in models for name in first)
    assert aebuild.plan("vqvae").params > 0
    with pytest.raises(SpecError):
        aebuild.plan({**SPEC, "latent": "nothing"})


@pytest.mark.parametrize(("call", "told"), [
    (lambda: aebuild.load(3), "a spec is a path"), (lambda: aebuild.load(None), "a spec is a path"),
    (lambda: aebuild.load(SPEC, 3), "settings are"), (lambda: aebuild.load(SPEC, [1]), "settings are"),
    (lambda: aebuild.load(SPEC, {"a": object()}), "values of settings"), (lambda: aebuild.load({1: 2}), "keys are text"),
    (lambda: aebuild.load({"encoder": {"width": torch.ones(2)}}), "encoder.width: a spec holds"), (lambda: aebuild.open_run(3), "a run is a path"),
    (lambda: aebuild.build(aebuild.plan(SPEC), "latent.dim=2"), "settings and data already"), (lambda: aebuild.build(SPEC, 3), "seed="),
    (lambda: aebuild.load(aebuild.load(SPEC), "latent.dim=2"), "settings and data already"), (lambda: aebuild.train(SPEC, folder=3), "folder is a path"),
])
def test_anything_else_is_told_what_to_pass(call, told):
    with pytest.raises(TypeError, match=told):
        call()


def test_a_dict_is_trained_and_the_model_needs_no_gradients(tmp_path):
    outcome = aebuild.train(SPEC, parent=str(tmp_path))
    run = aebuild.open_run(str(outcome.run))
    assert not run.model.training
    assert run.model.reconstruct(torch.rand(2, 1, 8, 8)).numpy().shape == (2, 1, 8, 8)
