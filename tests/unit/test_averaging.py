"""Averaged weights: the recursion, what is kept and judged, and that a resume has the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stopping import StopAt
from torch import nn

from aebuild import open_run, train
from aebuild.compile.front import load
from aebuild.lang.training import Average
from aebuild.results import experiment
from aebuild.results.experiment import resume
from aebuild.results.revision import Request
from aebuild.trainer.averaging import WeightAverage
from aebuild.trainer.lr import Clock
from aebuild.trainer.progress import throughput
from aebuild.trainer.run_dir.run import Run
from aebuild.trainer.signals import Interrupted

SPEC = """\
data: {type: wine, limit: 40}
encoder: [linear: 6]
latent: {type: continuous, dim: 2}
train: {steps: 5, batch_size: 10, speed: exact, optimizer: {lr: 0.1}, keep: KEEP, average: AVERAGE}
"""


@pytest.mark.parametrize("decay", [0.7, None])
def test_the_recursion(decay: float | None) -> None:
    """Exponential: a ← d·a + (1 − d)·w from the first step that counts; else the mean of all that count."""
    weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    average = WeightAverage([weight], Average(decay=decay, after="2 steps"), Clock(4, 8))
    walk, draws = [], torch.Generator().manual_seed(0)
    for step in range(8):
        with torch.no_grad():
            weight += torch.randn(3, dtype=torch.float64, generator=draws)
        walk.append(weight.detach().clone())
        average.update(step)
        if step < 2:
            with average.showing():
                assert torch.equal(weight, walk[-1])          # nothing counts yet
    wanted = torch.stack(walk[2:]).mean(0)
    if decay is not None:
        wanted = walk[2]
        for each in walk[3:]:
            wanted = decay * wanted + (1 - decay) * each
    with average.showing():
        torch.testing.assert_close(weight.detach(), wanted)
    assert torch.equal(weight, walk[-1])


def learned(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without what is fitted to the codes afterwards."""
    return {name: tensor for name, tensor in state.items() if "prior" not in name}


def trained(folder: Path, keep: str, average: str, more: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    text = SPEC.replace("KEEP", keep).replace("AVERAGE", average)
    return train(load(folder / "spec.yaml", list(more), text=text), folder=folder / "run").result.model.state_dict()


def test_what_is_kept_is_the_average_of_the_weights_that_are_trained(tmp_path: Path) -> None:
    second, third = (trained(tmp_path / str(n), "last", "null", (f"train.steps={n}",)) for n in (2, 3))        # the same walk, cut short
    kept = trained(tmp_path / "mean", "last", "{after: 1 steps}", ("train.steps=3",))
    opened = open_run(tmp_path / "mean" / "run").model.state_dict()
    for name, tensor in learned(kept).items():
        torch.testing.assert_close(tensor, (second[name] + third[name]) / 2, rtol=1e-5, atol=1e-6)
        assert torch.equal(opened[name], tensor)


def test_a_longer_training_goes_on_from_the_trained_weights_bit_by_bit(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", "last", "0.8", ("train.steps=7",))
    first = trained(tmp_path / "cut", "last", "0.8", ("train.steps=4",))
    longer = Request(load(tmp_path / "cut" / "run" / "spec.yaml", ["train.steps=7"]), allow=True)
    again = resume(tmp_path / "cut" / "run", change=longer).result.model.state_dict()
    finished = resume(tmp_path / "cut" / "run").result.model.state_dict()                  # nothing is left to train
    for name, tensor in learned(whole).items():
        assert torch.equal(again[name], tensor), name
        assert torch.equal(finished[name], tensor), name
        assert not torch.equal(first[name], tensor)


def test_the_best_is_judged_by_the_average(tmp_path: Path) -> None:
    """With a decay of nearly one the average hardly leaves the first step's weights, whatever the training does."""
    best = trained(tmp_path / "slow", "best", "0.9999999")
    first = trained(tmp_path / "first", "last", "null", ("train.steps=1",))
    for name, tensor in learned(best).items():
        torch.testing.assert_close(tensor, first[name], rtol=0, atol=1e-5)


def test_the_next_phase_goes_on_from_the_average(tmp_path: Path) -> None:
    text = SPEC.replace("steps: 5, ", "").replace("keep: KEEP, average: AVERAGE", "keep: last, phases: [main: {steps: 4, average: {}}, "
                                                  "main: {steps: 1, optimizer: {type: sgd, lr: 1e-12}}]")
    found = train(load(tmp_path / "spec.yaml", text=text), folder=tmp_path / "run").result.model.state_dict()
    mean = trained(tmp_path / "mean", "last", "{}", ("train.steps=4",))
    for name, tensor in learned(mean).items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("looks", [2, 3, 4])
def test_stopped_within_an_epoch_and_resumed_it_has_the_same_bits(looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(throughput, "LOOK_SHARE", 0)
    text = SPEC.replace("KEEP", "best").replace("AVERAGE", "{decay: 0.8, after: 1 steps}")
    spec = load(tmp_path / "spec.yaml", text=text)
    whole = train(spec, folder=tmp_path / "whole").result
    with pytest.raises(Interrupted):
        experiment.train(spec, folder=tmp_path / "cut", display=StopAt(looks))
    again = resume(tmp_path / "cut").result
    assert (again.kept, again.score) == (whole.kept, whole.score)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name
    timeless = [[{key: value for key, value in record.items() if key not in ("seconds", "samples_per_second")}
                 for record in Run.open(tmp_path / name).journal.read()] for name in ("whole", "cut")]
    assert timeless[0] == timeless[1]                      # the gradients of an epoch's last batch among them
