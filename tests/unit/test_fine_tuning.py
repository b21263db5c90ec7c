"""Fine-tuning: parts of another run to begin with, frozen weights, and learning rates of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from aebuild import open_run, train
from aebuild.compile.front import load
from aebuild.lang.diagnostics import CheckpointError
from aebuild.parts import discover
from aebuild.parts.lr_schedules.step import Step
from aebuild.parts.optimizers.sgd import Sgd
from aebuild.trainer.lr import Clock, LearningRate
from aebuild.trainer.players import grouped

discover()
SPEC = """\
data: {type: wine, limit: 40}
encoder: [linear: 6, linear: 5]
latent: {type: continuous, dim: 2}
decoder: [linear: WIDTH]
train: {batch_size: 20, speed: exact, optimizer: {lr: 0.01}, keep: last, phases: PHASES}
"""


def trained(folder: Path, phases: str, width: int = 7) -> dict[str, torch.Tensor]:
    text = SPEC.replace("PHASES", phases).replace("WIDTH", str(width))
    return train(load(folder / "spec.yaml", text=text), folder=folder / "run").result.model.state_dict()


def test_parts_of_a_run_are_taken_frozen_or_trained(tmp_path: Path) -> None:
    first = trained(tmp_path / "a", "[main: {steps: 2}]")
    start = f"start: {{run: {tmp_path / 'a' / 'run'}, parts: [encoder, latent]}}"
    tuned = trained(tmp_path / "b", f"[main: {{steps: 2, {start}, freeze: [encoder.0]}}]", width=9)        # another decoder
    learned = {name for name in first if name.split(".")[0] in ("encoder", "latent") and "prior" not in name}
    for name in learned:
        assert torch.equal(tuned[name], first[name]) == name.startswith("encoder.0"), name
    with pytest.raises(CheckpointError) as caught:
        trained(tmp_path / "c", f"[main: {{steps: 2, {start.replace('latent', 'decoder')}}}]", width=9)
    assert "decoder." in str(caught.value.diagnostics[0].message)


def test_a_factor_of_the_rate_is_that_of_the_step(tmp_path: Path) -> None:
    """Of plain gradient descent a step is the rate times the gradient, so a factor of the rate is one of the step."""
    sgd = "optimizer: {type: sgd, lr: 0.01}"
    begun = open_run_weights(tmp_path / "zero", "[main: {steps: 1, optimizer: {type: sgd, lr: 1e-30}}]")
    plain = trained(tmp_path / "one", f"[main: {{steps: 1, {sgd}}}]")
    slow = trained(tmp_path / "two", f"[main: {{steps: 1, {sgd}, rates: {{encoder: 0.5, encoder.1: 0.25}}}}]")
    for name, tensor in plain.items():
        if "prior" not in name:
            factor = 0.25 if name.startswith("encoder.1") else 0.5 if name.startswith("encoder") else 1.0
            torch.testing.assert_close(slow[name] - begun[name], factor * (tensor - begun[name]), rtol=1e-3, atol=1e-6)


def open_run_weights(folder: Path, phases: str) -> dict[str, torch.Tensor]:
    trained(folder, phases)
    return open_run(folder / "run").model.state_dict()


def test_schedules_and_ramps_keep_the_factors() -> None:
    fast, slow = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    named, groups = grouped([("encoder.weight", slow), ("decoder.weight", fast)], {"encoder": 0.1})
    assert [name for name, _ in named] == ["decoder.weight", "encoder.weight"]
    for lr, wanted in ((1.0, [1.0, 0.5]), ({"from": 2.0, "to": 1.0, "over": "2 steps"}, [2.0, 0.75])):
        config = Sgd.model_validate({"lr": lr if isinstance(lr, float) else ramp(lr), "schedule": Step(step_size=1, gamma=0.5)})
        optimizer = config.build_optimizer(groups)
        for group in optimizer.param_groups:
            group["lr"] *= group["factor"]
        rate = LearningRate(config, optimizer, Clock(1, 4))
        found = []
        for step in range(2):
            rate.begin(step)
            optimizer.step()
            found.append(rate.now)
            assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate.now, 0.1 * rate.now])
            rate.epoch_done(0.0)
        assert found == pytest.approx(wanted)


def ramp(values: dict[str, object]) -> object:
    from aebuild.lang.schedule import Ramp

    return Ramp.model_validate(values)
