"""The forward passes of a batch, and who is trained on what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models import fine, samples

from aebuild import open_run, train
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.diagnostics import CheckpointError
from aebuild.lang.splits import Split
from aebuild.lang.terms import TermPlan
from aebuild.lang.training import Start
from aebuild.modules.autoencoder import Autoencoder
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.lr import Clock
from aebuild.trainer.objective import Objective
from aebuild.trainer.phase import ActivePhase
from aebuild.trainer.running_means import RunningMeans

NORMED = "data: digits\nencoder: {layer: linear, width: 16, norm: batch}\ndecoder: [linear: 16]\n"
ADVERSARIAL = f"{NORMED}latent: {{type: adversarial, dim: 2, discriminator: [linear: 8]}}\ntrain: {{epochs: 1, players: {{discriminator: {{steps: 3}}}}}}\n"
PHASES = ("name: phased\ndata: digits\nencoder: [linear: 16]\nlatent: {type: continuous, dim: 4}\n"
          "train: {batch_size: 64, speed: exact, phases: [%s]}\n")


def one_batch(text: str) -> tuple[Autoencoder, list[str]]:
    """The model after a batch of its first phase, and the halves that ran forward in it."""
    loaded = fine(text)
    assert loaded.plan is not None and loaded.info is not None
    model, ran = build(loaded.plan), []
    for name in ("encoder", "decoder"):
        getattr(model, name).register_forward_hook(lambda *_, name=name: ran.append(name))
    phase = loaded.plan.phases[0]
    active = ActivePhase(loaded.plan, phase, model, frozenset(name for name, _ in model.named_parameters()), 64)
    active.enter(0)
    active.run(samples(loaded.info, loaded.plan, 16), 0, 0, RunningMeans())
    return model, ran


def test_who_only_looks_shares_a_pass_and_statistics_learn_once() -> None:
    model, ran = one_batch(ADVERSARIAL)
    assert ran == ["encoder", "decoder", "encoder", "decoder"]            # the autoencoder's and the generator's
    once, _ = one_batch(f"{NORMED}latent: {{type: continuous, dim: 2}}\ntrain: {{epochs: 1}}\n")
    for name, buffer in once.encoder.named_buffers():
        assert torch.equal(buffer, model.encoder.get_buffer(name)), name
    assert int(model.encoder.get_buffer("0.norm.num_batches_tracked")) == 1


def test_a_codebook_learns_once_from_a_batch() -> None:
    codebook = "latent: {type: codebook, dim: 4, codes: 8, update: {type: ema, decay: 0.5}, init: normal}\n"
    once, _ = one_batch(f"{NORMED}{codebook}train: {{epochs: 1}}\n")
    twice, _ = one_batch(f"{NORMED}{codebook}train: {{epochs: 1, players: {{autoencoder: {{steps: 2}}}}}}\n")
    assert torch.equal(once.latent.update.counts, twice.latent.update.counts)
    assert once.latent.update.counts.sum() == pytest.approx(8)            # half of 16 vectors


def test_a_second_view_leaves_no_trace() -> None:
    text = f"corrupt: [mask: 0.3]\n{NORMED}latent: {{type: continuous, dim: 4}}\ntrain: {{epochs: 1}}\n"
    model, ran = one_batch(f"{text}losses: {{contrastive: ntxent}}\n")
    assert ran.count("encoder") == 2
    assert [int(buffer) for name, buffer in model.named_buffers() if name.endswith("num_batches_tracked")] == [1]


def test_what_is_frozen_stays(tmp_path: Path) -> None:
    loaded = load(tmp_path / "spec.yaml", text=PHASES % "main: {steps: 3}, main: {steps: 3, freeze: [encoder, latent.projection]}")
    plan = loaded.require()
    model = build(plan)
    active = ActivePhase(plan, plan.phases[1], model, frozenset(name for name, _ in model.named_parameters()), 64)
    active.enter(0)
    moving = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moving == {"decoder"}
    assert not model.encoder.training
    assert model.decoder.training
    assert train(loaded, folder=tmp_path / "run").result.steps == 6


@pytest.mark.parametrize(("phases", "code", "path"), [
    ("main: {freeze: [encoder.7]}", "AE353", "train.phases.0.freeze"),
    ("main, prior", "AE352", "train.phases.1"),
    ("main: {freeze: [encoder, latent, decoder]}", "AE352", "train.phases.0"),
])
def test_a_phase_of_nobody_or_of_no_such_layer_is_refused(phases: str, code: str, path: str) -> None:
    assert [(error.code, error.path) for error in load("spec.yaml", text=PHASES % phases).errors] == [(code, path)]


def test_a_phase_begins_with_the_weights_of_a_run(tmp_path: Path) -> None:
    first = train(load(tmp_path / "spec.yaml", text=PHASES % "main: {steps: 4}"), folder=tmp_path / "first")
    start = "main: {steps: 1, start: first, freeze: [encoder, latent, decoder.0]}"
    second = train(load(tmp_path / "spec.yaml", text=PHASES % start), folder=tmp_path / "second")
    before, after = first.result.model.state_dict(), second.result.model.state_dict()
    for name in before:
        kept = name.startswith(("encoder", "decoder.0", "latent.projection"))
        assert torch.equal(before[name], after[name]) is kept or name.startswith("latent.prior"), name
    assert open_run(tmp_path / "second").plan.phases[0].start == Start(run=str(tmp_path / "first"))
    text = (PHASES % "main: {steps: 1, start: first}").replace("digits", "wine").replace("linear: 16", "linear: 9").replace("dim: 4", "dim: 3")
    other = load(tmp_path / "spec.yaml", text=text)
    with pytest.raises(CheckpointError, match="AE520"):
        train(other, folder=tmp_path / "third")


def test_what_data_know_of_samples_reaches_the_losses() -> None:
    """Weights count samples; conditions and masks stand in the context that modules read."""
    x = np.random.default_rng(0).random((40, 4), np.float32)
    beside = {"weights": np.linspace(0, 2, 40, dtype=np.float32), "conditions": x[:, :1], "ids": np.arange(40)}
    batch = SplitLoader(Split(x, **beside), torch.device("cpu")).take(torch.tensor([3, 39]))
    assert batch.ids is not None and batch.weights is not None
    assert batch.ids.tolist() == [3, 39]
    assert set(batch.context()) == {"target", "conditions"}
    raw = {"reconstruction": torch.tensor([2.0, 5.0])}
    reduced = Objective([TermPlan("reconstruction", "autoencoder", 4)], Clock(1, 1)).reduced(raw, 0, weights=batch.weights)
    assert reduced["reconstruction"].item() == pytest.approx((2 * 6 / 39 + 5 * 2) / 2)
    thin = Split(x, **beside).thinned(2)
    assert thin.beside["ids"].tolist() == [0, 39]
