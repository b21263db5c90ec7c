"""Each law as a function of a part in a spec that shows it: what is wrong, in sentences, or nothing."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import Loaded
from aebuild.compile.plan import Plan
from aebuild.lang.part import Part
from aebuild.lang.splits import Splits
from aebuild.modules.likelihoods import Likelihood
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.results.part_laws import recorded
from aebuild.results.part_laws.exact_plan import compare
from aebuild.results.part_laws.trial import imagined, samples, turns, unreached
from aebuild.trainer.fit import TrainResult, train
from aebuild.trainer.job import Job
from aebuild.trainer.phase import reseed_all
from aebuild.trainer.progress.display import EpochReport, Quiet
from aebuild.trainer.run_dir.run import Run, data_record
from aebuild.trainer.signals import Interrupted

COUNT = 12
CLOSE = 1e-4           # relative, between a sample alone and the same in a batch: other kernels round otherwise


@dataclass(eq=False)
class Shown:
    """A spec that has the part in it, and random samples of the types that it declares."""

    part: type[Part]
    loaded: Loaded

    @property
    def plan(self) -> Plan:
        """What is built of it."""
        return self.loaded.require()

    @cached_property
    def longer(self) -> Plan:
        """The same with two epochs in each phase, so that there is a place to stop at."""
        return replace(self.plan, phases=tuple(replace(phase, epochs=2, steps=None, patience=None) for phase in self.plan.phases))

    @cached_property
    def batch(self) -> Batch:
        """Samples, the same each time."""
        assert self.loaded.info is not None
        return samples(self.loaded.info, self.plan, COUNT)

    @cached_property
    def splits(self) -> Splits:
        """Data to train on."""
        assert self.loaded.info is not None
        return imagined(self.loaded.info, self.plan)

    @torch.no_grad()
    def reconstructed(self, model: torch.nn.Module, first: int, last: int) -> Tensor:
        """Some of the samples, in evaluation."""
        reseed_all(random_modules(model), 0, 0)
        told = self.batch.conditions
        out: Tensor = model.reconstruct(self.batch.x[first:last], conditions=None if told is None else told[first:last])  # type: ignore[operator]
        return out


def plan_is_exact(shown: Shown) -> list[str]:
    """Names, shapes, parameters, types and MACs of the plan are those of the module on the meta device."""
    return compare(shown.plan)


def gradient_reaches(shown: Shown) -> list[str]:
    """Losses and gradients are finite, and each parameter is reached by some player's terms."""
    model = build(shown.plan)
    taken = turns(shown.plan, model, shown.batch)
    found = [f"the loss of {turn.player} is {turn.loss.item()}" for turn in taken if not torch.isfinite(turn.loss)]
    found += [f"the gradient of {name} is not finite" for turn in taken for name, gradient in turn.gradients.items()
              if gradient is not None and not torch.isfinite(gradient).all()]
    return found + [f"no loss reaches {name}" for name in unreached(model, taken)]


def batch_is_ignored(shown: Shown) -> list[str]:
    """In evaluation a sample's output does not depend on what else is in the batch."""
    model = build(shown.plan).eval()
    whole, alone = shown.reconstructed(model, 0, COUNT), shown.reconstructed(model, 0, 1)
    if whole.shape != (COUNT, *shown.plan.target.shape):
        return [f"the output of {COUNT} samples has shape {tuple(whole.shape)}, planned are {shown.plan.target}"]
    far = (whole[:1] - alone).abs().max().item()
    scale = max(1.0, alone.abs().max().item())
    return [f"a sample alone and in a batch of {COUNT} differ by {far:.3g}"] if far > CLOSE * scale else []


def state_goes_round(shown: Shown) -> list[str]:
    """A state_dict put into a model of another seed makes it the same, bit by bit."""
    first, second = build(shown.plan).eval(), build(shown.plan, seed=shown.plan.spec.train.seed + 1).eval()
    second.load_state_dict(first.state_dict())
    made = [shown.reconstructed(model, 0, COUNT) for model in (first, second)]
    return [] if torch.equal(*made) else ["the same state_dict reconstructs otherwise: something that counts is no parameter and no buffer"]


def seed_decides(shown: Shown) -> list[str]:
    """Two trainings from one seed end with the same bits, whatever torch's own generator does."""
    with TemporaryDirectory() as folder:
        results = []
        for number in range(2):
            torch.manual_seed(number)
            results.append(_trained(shown, Path(folder, str(number))).model.state_dict())
    return [f"{name} differs between two trainings of one seed; draw from modules.randomness.Random" for name in _differing(*results)]


def resume_is_exact(shown: Shown) -> list[str]:
    """A training that was stopped after an epoch and resumed ends with the bits of one that was not."""
    with TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        result = _trained(shown, whole)
        try:
            _trained(shown, cut, StopAfterEpoch())
        except Interrupted:
            with Run.open(cut, write=True) as run:
                again = train(Job(shown.longer, shown.splits, run), resume=True)
            return [f"{name} differs after a resume: what decides it is not in the state_dict"
                    for name in _differing(result.model.state_dict(), again.model.state_dict())]
    return ["its training has one epoch however long it is, so it could not be stopped"]


def export_works(shown: Shown) -> list[str]:
    """torch.export and torch.jit.trace give programs that compute what the model does, for any batch."""
    model = build(shown.plan).eval()
    if shown.plan.conditions or type(model.likelihood).linked is not Likelihood.linked:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recorded.check(model, shown.batch.x[:5], 1)
    except Exception as error:
        return [f"it cannot be exported: {_one_line(error)}"]
    return []


LAWS: dict[str, Callable[[Shown], list[str]]] = {
    "plan": plan_is_exact, "gradient": gradient_reaches, "batch": batch_is_ignored, "state": state_goes_round,
    "seed": seed_decides, "resume": resume_is_exact, "export": export_works,
}


class StopAfterEpoch(Quiet):
    """Stops the training that it watches after the first epoch, as Ctrl-C would."""

    def epoch(self, report: EpochReport) -> None:
        """Sends the signal, once."""
        if not report.last:
            os.kill(os.getpid(), signal.SIGINT)


def _trained(shown: Shown, folder: Path, display: Quiet | None = None) -> TrainResult:
    plan = shown.longer
    with Run.create("law", spec=canonical(plan.spec), plan=plan.to_json(), data=data_record(shown.splits), folder=folder) as run:
        return train(Job(plan, shown.splits, run, display=display or Quiet()))


def _differing(one: dict[str, Tensor], two: dict[str, Tensor]) -> list[str]:
    return [name for name in one if not torch.equal(one[name], two[name])][:3]


def _one_line(error: BaseException) -> str:
    """What an exception says, in a line."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
