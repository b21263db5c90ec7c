"""Epochs judged by any figure; and the encoder ahead of the decoder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from aebuild import train
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.diagnostics import DataError
from aebuild.modules.outputs import Batch
from aebuild.trainer.phase import ActivePhase
from aebuild.trainer.run_dir.run import Run
from aebuild.trainer.running_means import RunningMeans

SPEC = """\
data: {type: wine, limit: 60}
encoder: [linear: 8]
latent: {type: gaussian, dim: 2}
train: {epochs: 12, batch_size: 20, speed: exact, optimizer: {lr: 0.02}, MORE}
"""


def phase_of(more: str) -> ActivePhase:
    plan = load("spec.yaml", text=SPEC.replace("MORE", more)).require()
    model = build(plan)
    return ActivePhase(plan, plan.phases[0], model, frozenset(name for name, _ in model.named_parameters()), 60)


def test_a_score_is_the_figure_and_lower_is_better() -> None:
    means = {"reconstruction": 3.0, "kl": 2.0, "active_units": 1.5}
    for more, score in (("judge: kl", 2.0), ("judge: {by: kl, best: highest}", -2.0), ("judge: active_units", -1.5),
                        ("judge: loss", 5.0), ("judge: {by: active_units, best: lowest}", 1.5), ("keep: best", 5.0)):
        assert phase_of(more).score(means) == score, more
    with pytest.raises(DataError) as caught:
        phase_of("judge: active_units").score({"kl": 2.0})
    assert caught.value.diagnostics[0].code == "AE388"


def test_best_and_patience_go_by_the_figure(tmp_path: Path) -> None:
    text = SPEC.replace("MORE", "judge: {by: kl, best: highest}, patience: 2")
    result = train(load(tmp_path / "spec.yaml", text=text), folder=tmp_path / "run").result
    judged = [record for record in Run.open(tmp_path / "run").journal.read() if record["split"] == "validation"]
    scores = [-record["terms"]["kl"] for record in judged]
    assert [record["score"] for record in judged] == scores
    assert (result.epoch, result.score) == (1 + scores.index(min(scores)), min(scores))
    assert len(judged) == 12 or len(judged) == 1 + scores.index(min(scores)) + 2


def test_a_figure_that_is_not_there_is_refused() -> None:
    found = load("spec.yaml", text=SPEC.replace("MORE", "judge: usage")).errors
    assert [error.code for error in found] == ["AE387"]
    assert "active_units" in found[0].message


def test_a_lagging_decoder_learns_once_for_several_steps_of_the_encoder() -> None:
    active = phase_of("phases: [lagging: {inner: 4}]")
    inference, rest = active.players
    assert (inference.plan.name, inference.plan.terms, inference.plan.steps) == ("inference", rest.plan.terms, 4)
    halves = {name.split(".")[0] for name, _ in inference.named}, {name.split(".")[0] for name, _ in rest.named}
    assert halves == ({"encoder", "latent"}, {"decoder"})
    x = torch.randn(20, 13, generator=torch.Generator().manual_seed(0))
    active.enter(0)
    counted = []
    for player in active.players:
        player.optimizer.step = partial(lambda player, step, *given: (counted.append(player.plan.name), step(*given))[1],  # type: ignore
                                        player, player.optimizer.step)
    before = {name: tensor.clone() for name, tensor in active.model.state_dict().items()}
    tick = active.run(Batch(x, x), 0, 0, RunningMeans())
    assert counted == ["inference"] * 4 + ["autoencoder"]
    assert tick == 5
    assert all(not torch.equal(before[name], tensor) for name, tensor in active.model.state_dict().items() if name.endswith("weight"))
