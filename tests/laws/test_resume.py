"""Saved and loaded is bit-equal, and a training that was stopped and resumed is the one that never stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import fine, imagined
from stopping import StopAt

from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import Loaded
from aebuild.lang.diagnostics import DivergedError
from aebuild.lang.splits import Splits
from aebuild.modules.randomness import random_modules
from aebuild.results.open_run import open_run
from aebuild.results.part_laws.views import same
from aebuild.trainer.fit import TrainResult, train
from aebuild.trainer.job import Job
from aebuild.trainer.phase import reseed_all
from aebuild.trainer.progress import throughput as throughput_module
from aebuild.trainer.progress.display import Quiet
from aebuild.trainer.run_dir.run import Run, data_record
from aebuild.trainer.signals import Interrupted
from specs import specs

pytestmark = pytest.mark.slow


@contextmanager
def looking_at_every_step() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(throughput_module, "LOOK_EVERY", 0.0)
        patch.setattr(throughput_module, "LOOK_SHARE", 0)
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def fresh(loaded: Loaded, splits: Splits, folder: Path) -> Run:
    assert loaded.spec is not None and loaded.plan is not None
    return Run.create("law", spec=canonical(loaded.spec), plan=loaded.plan.to_json(), data=data_record(splits), folder=folder)


@settings(max_examples=30)
@given(specs(), st.integers(1, 12))
def test_resumed_is_uninterrupted(text: str, looks: int) -> None:
    loaded = fine(text)
    plan = loaded.plan
    assert plan is not None and loaded.info is not None
    splits = imagined(loaded.info, plan)
    with TemporaryDirectory() as folder, looking_at_every_step():
        try:
            whole = _trained(loaded, splits, Path(folder, "whole"), None)
        except DivergedError:
            return
        cut = _trained(loaded, splits, Path(folder, "cut"), looks)
        assert same(cut.model.state_dict(), whole.model.state_dict()), f"stopped at {looks}\n{text}"
        assert (cut.kept, cut.epoch, cut.score, cut.steps) == (whole.kept, whole.epoch, whole.score, whole.steps)
        assert same(*(_told(Path(folder, name)) for name in ("whole", "cut")))
        _opens_to_itself(whole, Path(folder, "whole"), splits)


WINE = "data: {type: wine, limit: 40}\nencoder: []\ndecoder: []\n"
STATEFUL = {
    "a threshold that is learned of batches": f"{WINE}latent: {{type: sparse, dim: 20, activation: {{type: batch_top_k, k: 2}}, centred: true, weights: tied}}",
    "units that are counted": f"{WINE}latent: {{type: sparse, dim: 20, activation: gated, revive: {{type: auxiliary, after: 2}}}}",
    "draws that follow the likelihood, under a bound of two halves":
        f"{WINE}latent: {{type: gaussian, dim: 3, posterior: hamiltonian}}\nlosses: {{bound: {{type: piwae, samples: 2, repeats: 2}}}}",
    "draws that move in a metric of samples": f"{WINE}latent: {{type: gaussian, dim: 2, prior: {{type: manifold, exemplars: 6, moves: 2}}, posterior: {{type: riemannian, subset: 3}}}}",
    "units that begin anew": f"{WINE}latent: {{type: sparse, dim: 20, activation: {{type: top_k, k: 2}}, revive: {{type: resample, every: 2, after: 1, times: 9}}}}",
    "patches that are hidden": "data: {type: digits, limit: 40}\ncorrupt: [patch_mask: 0.5]\n"
                               "encoder: [patchify: {size: 2, width: 4}, transformer: {width: 4, heads: 2}]\n"
                               "latent: {type: continuous, dim: 3, per: position}\ndecoder: [unpatchify: 2]\n"
                               "losses: {reconstruction: {type: mse, on: masked, normalize: patch}}",
}


@pytest.mark.parametrize("name", STATEFUL)
def test_what_a_part_learns_is_resumed(name: str) -> None:
    loaded = fine(f"name: law\n{STATEFUL[name]}\ntrain: {{steps: 9, batch_size: 10}}\n")
    assert loaded.info is not None and loaded.plan is not None
    splits = imagined(loaded.info, loaded.plan)
    with TemporaryDirectory() as folder, looking_at_every_step():
        whole, cut = (_trained(loaded, splits, Path(folder, place), looks) for place, looks in (("whole", None), ("cut", 5)))
        assert same(cut.model.state_dict(), whole.model.state_dict())
        assert same(*(_told(Path(folder, place)) for place in ("whole", "cut")))
        _opens_to_itself(whole, Path(folder, "whole"), splits)


def _trained(loaded: Loaded, splits: Splits, folder: Path, looks: int | None) -> TrainResult:
    """Trained through, or stopped after so many looks and then resumed from the directory."""
    assert loaded.plan is not None
    with fresh(loaded, splits, folder) as run:
        try:
            return train(Job(loaded.plan, splits, run, display=Quiet() if looks is None else StopAt(looks)))
        except Interrupted:
            pass
    with Run.open(folder, write=True) as run:
        return train(Job(loaded.plan, splits, run), resume=True)


def _told(folder: Path) -> Any:
    lines = Run.open(folder).journal.read()
    return [{key: value for key, value in line.items() if key not in ("seconds", "samples_per_second")} for line in lines]


@torch.no_grad()
def _opens_to_itself(result: TrainResult, folder: Path, splits: Splits) -> None:
    """The run directory alone gives back the same weights, and they make the same of data."""
    opened = open_run(folder)
    assert opened.kept == result.kept
    assert same(opened.model.state_dict(), result.model.state_dict())
    x, told = torch.from_numpy(splits.test.x), splits.test.beside.get("conditions")
    made = []
    for model in (opened.model, result.model.eval()):
        reseed_all(random_modules(model), 0, 0)
        made.append(model.reconstruct(x, conditions=None if told is None else torch.from_numpy(told)))
    assert same(*made)
