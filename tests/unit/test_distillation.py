"""A light encoder learns the codes of a heavy one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_wine

from aebuild import open_run, train
from aebuild.compile.front import load
from aebuild.lang.diagnostics import CheckpointError
from aebuild.modules.code import Code
from aebuild.modules.distillation import Distillation
from aebuild.modules.outputs import Batch, Outputs
from aebuild.results.experiment import resume
from aebuild.results.revision import Request
from aebuild.trainer.run_dir.run import Run

HEAVY = """\
data: {type: wine, limit: 60, scale: standard}
encoder: [linear: 12, linear: 8]
latent: {type: gaussian, dim: DIM}
decoder: [linear: 8]
train: {steps: 4, batch_size: 20, speed: exact, optimizer: {lr: 0.02}}
"""
LIGHT = """\
data: {type: wine, limit: 60, scale: standard}
encoder: []
latent: {type: gaussian, dim: 3}
decoder: [linear: 8]
losses: {reconstruction: {type: mse, weight: 0.01}, kl: 0.01, distillation: {run: RUN, weight: 1}}
train:
  batch_size: 20
  speed: exact
  keep: last
  optimizer: {lr: 0.03}
  phases: [main: {steps: STEPS, start: {run: RUN, parts: [decoder]}, freeze: [decoder]}]
"""


def test_the_term_is_the_squared_distance_from_the_teachers_code() -> None:
    loss, x, code = Distillation(), torch.ones(2, 3), torch.tensor([[1.0, 2.0], [0.0, 0.0]], requires_grad=True)
    outputs = Outputs(Batch(x, x), Code(code))
    assert loss.loss(outputs) is None
    loss.teacher = lambda given, lengths: given[:, :2] * 2
    term = loss.loss(outputs)
    assert term is not None
    torch.testing.assert_close(term, (code - 2).square())
    assert loss.state_dict() == {}


def test_a_distilled_encoder_comes_near_its_teacher_and_has_its_decoder(tmp_path: Path) -> None:
    heavy = train(load(tmp_path / "heavy.yaml", text=HEAVY.replace("DIM", "3")), folder=tmp_path / "heavy").result.model
    light = LIGHT.replace("RUN", "heavy")
    outcomes = {steps: train(load(tmp_path / "light.yaml", text=light.replace("STEPS", str(steps))), folder=tmp_path / f"light{steps}")
                for steps in (1, 60)}
    run = open_run(tmp_path / "light60")
    raw = torch.from_numpy(load_wine().data)
    x = ((raw - raw.mean(0)) / raw.std(0)).float()
    wanted = heavy.encode(x).posterior.mean.detach()

    def distance(model: object) -> float:
        return float((model.encode(x).posterior.mean.detach() - wanted).square().sum(1).mean())        # type: ignore[attr-defined]

    spread = float((wanted - wanted.mean(0)).square().sum(1).mean())
    assert distance(outcomes[60].result.model) < 0.3 * spread < distance(outcomes[1].result.model)
    for name, tensor in heavy.state_dict().items():
        assert not name.startswith("decoder") or torch.equal(run.model.state_dict()[name], tensor)
    assert "distillation" in Run.open(tmp_path / "light60").journal.read()[-1]["terms"]
    assert "distillation" not in outcomes[60].evaluation.model.terms                   # the run is whole without its teacher
    longer = Request(load(tmp_path / "light1" / "spec.yaml", ["train.phases.0.steps=60"]), allow=True)
    again = resume(tmp_path / "light1", change=longer).result.model.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in outcomes[60].result.model.state_dict().items())


def test_a_teacher_of_other_codes_is_refused(tmp_path: Path) -> None:
    train(load(tmp_path / "heavy.yaml", text=HEAVY.replace("DIM", "2")), folder=tmp_path / "heavy")
    with pytest.raises(CheckpointError) as caught:
        train(load(tmp_path / "light.yaml", text=LIGHT.replace("RUN", "heavy").replace("STEPS", "1")), folder=tmp_path / "light")
    assert caught.value.diagnostics[0].code == "AE386"
    assert not (tmp_path / "light").exists()
