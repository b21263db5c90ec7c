"""The loop of an ejected file ends with the weights of aebuild's exact training, to the last bit, and judges epochs alike."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ejected_files import fresh
from models import fine, imagined
from test_plugin_parts import plugged
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.front import Loaded
from aebuild.compile.plan import Plan
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Split, Splits
from aebuild.modules.autoencoder import Autoencoder
from aebuild.results.ejection.eject import eject
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.fit import TrainResult, train
from aebuild.trainer.job import Job
from aebuild.trainer.run_dir.run import Run
from specs import seeded

VECTORS = "data: {type: arrays, path: x.npy, shape: [6]}\n"
HALVES = "encoder: [linear: 5, linear: 4]\nlatent: {type: continuous, dim: 2}\n"
PLAIN = f"{VECTORS}{HALVES}"
GREEDY = f"{VECTORS}encoder: [linear: {{width: 5, norm: batch}}, dropout: 0.2, linear: 4]\nlatent: {{type: gaussian, dim: 2}}\n"


def trained(lines: str) -> str:
    return f"train: {{batch_size: 21, seed: 5, speed: exact, device: cpu, {lines}}}"


def scheduled(schedule: str, lr: str = "0.01") -> str:
    return f"{PLAIN}{trained(f'epochs: 4, optimizer: {{lr: {lr}, schedule: {schedule}}}')}"


SPECS = {
    "a decoder that is called again": f"{VECTORS}encoder: []\nlatent: {{type: sparse, dim: 12, activation: gated, centred: true, weights: transposed, "
                                      "revive: {type: auxiliary, k: 2, after: 1}}\ndecoder: [output: {columns: unit}]\n"
                                      f"losses: {{contractive: {{draws: 1, weight: 0.1}}, nested: {{units: [3]}}}}\n{trained('epochs: 2')}",
    "one leftover row joins a batch": f"{PLAIN}{trained('epochs: 3')}",
    "a short last batch": f"{PLAIN}train: {{batch_size: 30, speed: exact, steps: 8, clip: 0.05}}",
    "cosine": scheduled("cosine"),
    "multistep": scheduled("{type: multistep, milestones: [1, 2], gamma: 0.3}"),
    "exponential": scheduled("{type: exponential, gamma: 0.7}"),
    "one cycle": scheduled("{type: one_cycle, pct_start: 0.4}"),
    "one cycle on a ramp": scheduled("{type: one_cycle, div_factor: 5}", "{from: 0.001, to: 0.02, over: 5 steps}"),
    "exponential on a ramp": scheduled("{type: exponential, gamma: 0.7}", "[{from: 0, to: 0.02, over: 1 epochs}, {from: 0.02, to: 0.01}]"),
    "patience": f"{PLAIN}{trained('epochs: 40, patience: 2, optimizer: {lr: 0.5}, phases: [main, main: {patience: 1}]')}",
    "patience, the last weights": f"{PLAIN}{trained('epochs: 40, patience: 2, keep: last, optimizer: {lr: 0.5}')}",
    "the best epoch": f"{PLAIN}{trained('epochs: 6, optimizer: {type: sgd, lr: 0.7}')}",
    "greedy, then all": f"{GREEDY}{trained('epochs: 2, phases: [greedy: {patience: 1, epochs: 3}, main]')}",
    "greedy on codes, corrupted": f"{GREEDY}corrupt: [gaussian: {{std: 0.3}}]\n{trained('epochs: 2, phases: [greedy: {target: code}]')}",
    "adversarial": f"{VECTORS}encoder: [linear: {{width: 5, norm: batch}}, dropout: 0.2]\n"
                   "latent: {type: adversarial, dim: 2, discriminator: [linear: 4, dropout: 0.1]}\n"
                   + trained("epochs: 3, players: {discriminator: {steps: 2, clip: 0.1}, autoencoder: {steps: 2}, "
                             "generator: {optimizer: {lr: 0.01, schedule: {type: step, step_size: 1}}}}"),
    "frozen": f"{PLAIN}{trained('epochs: 2, phases: [main: {steps: 5}, main: {freeze: [encoder.0, latent]}]')}",
    "two views, penalties, a head": "data: {type: arrays, path: x.npy, shape: [6], classes: 3, label: y}\n"
                                    "encoder: [linear: 5]\nlatent: {type: continuous, dim: 2, activation: sigmoid}\nheads: {kind: {}}\n"
                                    "corrupt: [mask: 0.2, gaussian: {std: 0.1, when: always}]\n"
                                    "losses: {contrastive: {weight: 0.3}, sparsity: {type: kl, weight: 0.5}, kind: 0.5}\n"
                                    + trained("epochs: 3"),
    "codebook": f"{VECTORS}encoder: [linear: 5]\n"
                "latent: {type: codebook, codes: 6, dim: 4, groups: 2, update: ema, prior: empirical}\n" + trained("epochs: 3"),
    "a prior of posteriors": f"{VECTORS}encoder: [linear: 5]\nlatent: {{type: gaussian, dim: 2, prior: {{type: exemplar, exemplars: 9, subset: 4}}}}\n"
                             "corrupt: [gaussian: {std: 0.1, when: always}]\n" + trained("epochs: 2"),
    "hidden patches": "data: {type: arrays, path: x.npy, shape: [1, 4, 6]}\ncorrupt: [patch_mask: 0.5]\n"
                      "encoder: [patchify: {size: 2, width: 4}, transformer: {width: 4, heads: 2}]\n"
                      "latent: {type: continuous, dim: 3, per: position}\ndecoder: [transformer: {width: 4, heads: 2}, unpatchify: 2]\n"
                      "losses: {reconstruction: {type: mse, on: masked, normalize: patch, reduction: mean}}\n" + trained("epochs: 3"),
    "a flow afterwards": f"{VECTORS}encoder: [linear: 5]\nlatent: {{type: gaussian, dim: 2, prior: {{type: flow, width: 4, learned: afterwards}}}}\n"
                         + trained("epochs: 2"),
    "ramps": f"{VECTORS}encoder: [linear: 5]\nlatent: {{type: gaussian, dim: 2}}\n"
             f"losses: {{kl: {{weight: [{{from: 0, to: 1, over: 50%, shape: cosine, cycles: 2, rise: 0.7}}, {{from: 1, to: 0.5}}], free_bits: 0.1}}}}\n"
             f"{trained('epochs: 4, patience: 2')}",
    "true values in place of its own": "data: {type: arrays, path: x.npy, shape: [7, 2]}\nencoder: [gru: 5]\nlatent: {type: continuous, dim: 3}\n"
                                      "decoder: {layer: gru, width: 5, feed: previous, teacher_forcing: {from: 1, to: 0, over: 2 epochs}}\n"
                                      + trained("epochs: 3"),
}


LEARNED = """
import math
import torch
from torch import Tensor, nn
from aebuild.modules.priors import Prior

class LearnedGaussian(Prior):
    def __init__(self, shape):
        super().__init__(shape)
        self.middle = nn.Parameter(torch.zeros(shape))

    def draw(self, n: int, device: torch.device) -> Tensor:
        return self.middle + self.normal(n, *self.shape, device=device)

    def log_prob(self, codes: Tensor) -> Tensor:
        return -0.5 * ((codes - self.middle).square() + math.log(2 * math.pi))
"""
PART = """
from typing import Literal
from aebuild.lang.families import Prior
from aebuild.lang.node import Node
from aebuild.lang.terms import Contribution

class LearnedGaussian(Prior):
    '''A Gaussian whose middle is learned in a phase of its own.'''
    type: Literal["learned_gaussian"] = "learned_gaussian"
    density = True
    learning = "phase"

    def plan_prior(self, codes, site):
        return Contribution(node=Node(site.path, "learned", codes, codes, self, aside=True, weights={"middle": codes.shape}))

    def build(self, node, children):
        from aebuild.modules.learned_gaussian import LearnedGaussian
        return LearnedGaussian(node.output.shape)
"""


@pytest.mark.parametrize("name", SPECS)
def test_the_ejected_loop_ends_with_the_same_weights(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = fine(f"name: x\n{SPECS[name]}")
    result, printed = check(loaded, tmp_path, capsys)
    assert ("ends: no better" in printed) == ("patience" in name)
    assert name != "the best epoch" or result.kept != f"step-{result.steps}" != f"best-{result.steps}" != result.kept


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_generated_specs_train_alike(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = yaml.safe_load(seeded(seed))
    shape = {"batch_size": 21, "epochs": 2, "speed": "exact", "device": "cpu"}
    check(fine(yaml.safe_dump({**spec, "train": {**spec.get("train", {}), **shape}})), tmp_path, capsys, imagined)


def test_a_prior_that_is_learned_in_a_phase_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """None of those that come with aebuild is, so this one is put among its modules; a plug-in's own module is refused."""
    for folder, text in (("modules", LEARNED), ("parts", PART)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "learned_gaussian.py").write_text(text)
    made = spec_from_file_location("aebuild.modules.learned_gaussian", tmp_path / "modules" / "learned_gaussian.py")
    assert made is not None and made.loader is not None
    module = module_from_spec(made)
    monkeypatch.setitem(sys.modules, made.name, module)
    made.loader.exec_module(module)
    with plugged(tmp_path / "parts" / "learned_gaussian.py"):
        loaded = fine(f"name: x\n{VECTORS}encoder: [linear: 5]\nlatent: {{type: continuous, dim: 2, prior: learned_gaussian}}\n"
                      + trained("epochs: 2, phases: [main, prior: {epochs: 3, optimizer: {lr: 0.1}}]"))
        result, printed = check(loaded, tmp_path, capsys)
    assert result.model.latent.prior.middle.abs().min() > 0.1 and printed.count("prior: epoch") == 3


def test_without_validation_samples_it_trains_to_the_end_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = fine(f"name: x\n{SPECS['patience']}")
    splits = replace(splits_of(loaded), validation=None)
    model, printed = ejected(loaded.require(), splits, capsys)
    result = train(Job(loaded.require(), splits, Run.create("x", spec="name: x\n", plan={}, data={}, folder=tmp_path / "run")))
    assert_same(model, result.model)
    assert printed.startswith("no validation samples: no phase ends early, and the last weights are kept, not the best\n")


def test_weights_of_another_run_are_named_where_they_would_be_taken(tmp_path: Path) -> None:
    plan = fine(f"name: x\n{PLAIN}" + trained("epochs: 1, phases: [main: {start: runs/first}]")).require()
    made = eject(plan)
    told, = made.left_out
    assert "runs/first" in told
    at = made.source.index("begins this phase with the weights of the run ")
    assert made.source.index("def train_main(") < at < made.source.index("bounds = batch_bounds(", at) and "runs/first" in made.source[at:at + 80]


def check(loaded: Loaded, folder: Path, capsys: pytest.CaptureFixture[str], drawn: Callable[[DataInfo, Plan], Splits] | None = None
          ) -> tuple[TrainResult, str]:
    """That the ejected file trains as aebuild does, and judges every epoch alike; what it prints."""
    plan, info = loaded.require(), loaded.info
    assert info is not None
    splits = splits_of(loaded) if drawn is None else drawn(info, plan)
    run = Run.create("x", spec="name: x\n", plan={}, data={}, folder=folder / "run")
    result = train(Job(plan, splits, run))
    model, printed = ejected(plan, splits, capsys)
    assert_same(model, result.model)
    told = [float(score) for score in re.findall(r", validation (\S+)", printed)]
    assert told == pytest.approx([row["score"] for row in run.journal.read() if row["split"] == "validation"], rel=1e-3)
    return result, printed


def ejected(plan: Plan, splits: Splits, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """The model of the ejected file after its own training, and what it printed."""
    source = eject(plan).source
    assert max(map(len, source[source.index("from __future__"):].split("\n"))) <= 140
    space = fresh(source)
    model = space["Autoencoder"]()
    model.load_state_dict(build(plan).state_dict())
    capsys.readouterr()
    space["train"](model, *(as_batch(split, space) for split in (splits.train, splits.validation) if split is not None))
    return model, capsys.readouterr().out


def assert_same(model: Any, expected: Autoencoder) -> None:
    held: dict[str, Tensor] = expected.state_dict()
    assert list(held) == list(model.state_dict())
    assert all(torch.equal(value, held[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in expected.parameters()]


def splits_of(loaded: Loaded) -> Splits:
    """Correlated random numbers, so that there is something to learn."""
    plan, info = loaded.require(), loaded.info
    assert info is not None
    made = imagined(info, plan)
    size = plan.input.shape[-1]
    mix = torch.randn(size, size, generator=torch.Generator().manual_seed(3)).numpy()
    parts = [Split(each.inputs.take(np.arange(len(each))) @ mix, each.labels) for each in (made.train, made.validation, made.test)]
    return Splits(*parts, scaling=made.scaling, info=info)


def as_batch(split: Split, space: dict[str, Any]) -> Any:
    """A split as the file takes samples."""
    batch = SplitLoader(split, torch.device("cpu")).slice(0, len(split))
    return space["Batch"](**{each.name: getattr(batch, each.name) for each in fields(batch)})
