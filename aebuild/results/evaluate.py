"""Test metrics of a trained model beside two baselines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aebuild.lang.values import elements
from aebuild.results.baselines import (
    Reconstruction,
    clipped,
    components_of,
    fitted_rows,
    judged_targets,
    known_targets,
    mean_reconstruction,
    pca_reconstruction,
)
from aebuild.results.trained import TrainedModel
from aebuild.results.usage import Usage
from aebuild.trainer.batches.loader import Feed, batch_bounds
from aebuild.trainer.distributed.process_group import ALONE
from aebuild.trainer.lr import Clock
from aebuild.trainer.phase import measured, passes
from aebuild.trainer.players import Objective, Passes

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.diagnostics import Diagnostic
    from aebuild.lang.splits import Split, Splits
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.modules.outputs import Outputs

JUDGED = 2_000            # samples of a split that are always judged
JUDGED_SHARE = 0.15       # or this share of those that were trained
JUDGED_VALUES = 1 << 28   # of data on disk, which are then held in memory, at most this many numbers


@dataclass(frozen=True)
class Scores:
    """How well one way to reconstruct does: mean terms per sample, error per element, further metrics.

    `psnr` in dB, from the mean squared error over the whole split; None where the data have no range.
    """

    terms: dict[str, float]
    mse: float
    psnr: float | None
    metrics: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As evaluation.json has it."""
        return {"terms": self.terms, "mse": self.mse, "psnr": self.psnr, "metrics": self.metrics}


@dataclass(frozen=True)
class Evaluation:
    """The scores of the model, of PCA with a code of the same size, and of the mean sample; `findings` are warnings about them."""

    name: str
    split: str
    samples: int
    code_values: int
    code_bits: float
    components: int
    model: Scores
    pca: Scores
    mean: Scores
    findings: tuple[Diagnostic, ...] = field(default=(), compare=False)       # they name the run's folder
    whole: int = 0            # samples that the split has
    tasks: dict[str, dict[str, float]] = field(default_factory=dict)       # the figures of each task of `evaluate.tasks`

    def to_json(self) -> dict[str, Any]:
        """As evaluation.json has it."""
        return {"name": self.name, "split": self.split, "samples": self.samples, "samples_in_split": self.whole,
                "code_values": self.code_values,
                "code_bits": self.code_bits,
                "model": self.model.to_json(), "pca": {"components": self.components, **self.pca.to_json()},
                "mean": self.mean.to_json(), **({"tasks": self.tasks} if self.tasks else {}),
                "warnings": [{"code": each.code, "message": each.message, "fix": each.fix} for each in self.findings]}


def evaluate(plan: Plan, model: Autoencoder, splits: Splits, *, trained: int | None = None,
             progress: Callable[[str, int, int], object] = lambda what, done, whole: None) -> Evaluation:
    """Judges the model on the test split (validation or training where there is none), in evaluation mode.

    A variational code is one draw from the posterior. The baselines see the same targets; both know the training split only. After
    a training of so many samples (`trained`) a large split is judged by samples of it. `progress` hears what is done and how far.
    """
    name, split = judged_split(splits)
    whole = len(split)
    if trained is not None and (most := judged_samples(split, trained)) < whole:
        split = split.thinned(most)
    device = next(model.parameters()).device
    feed = Feed(split, device)
    bounds = passes(plan, plan.phases[-1], feed.samples)
    heard = Heard(model)

    def follow(outputs: Outputs) -> None:
        heard.judge(outputs)
        progress("evaluating the model", heard.batches, len(bounds))

    bound = plan.spec.losses.bound
    objective, forward = Objective(plan.terms, Clock(1, 1), bound), Passes(model, None, bound.draws, shared=False, codes=False)
    means = measured(plan, model, objective, forward, bounds, feed, ALONE, follow)
    names = {term.name for term in plan.terms}
    mse, usage = heard.squares / (feed.samples * elements(plan.target)), heard.usage.metrics()
    progress("fitting PCA to compare with", 0, 0)
    own = Scores({term: value for term, value in means.items() if term in names}, mse, _psnr(plan, mse),
                 {metric: value for metric, value in means.items() if metric not in names} | usage)
    tasks = {}
    for task in plan.spec.evaluate.tasks:
        progress(f"evaluating {task.variant_name()}", 0, 0)
        tasks[str(task.variant_name())] = task.evaluate(TrainedModel(plan, model, splits, split))
    training = fitted_rows(known_targets(splits.train))
    components = components_of(plan.latent.bits, len(training), elements(plan.target))
    return Evaluation(plan.spec.name, name, len(split), plan.latent.values, plan.latent.bits, components, own,
                      _score_baseline(plan, model, pca_reconstruction(training, components), split),
                      _score_baseline(plan, model, mean_reconstruction(known_targets(splits.train)), split), whole=whole, tasks=tasks)


def judged_samples(split: Split, trained: int) -> int:
    """How many samples of a split are judged after a training of so many: all of a small one.

    A pass without gradients over a seventh of the samples takes a twentieth of the time of their training. A test split of 10,000 is
    judged whole after 67,000 samples.
    """
    most = max(JUDGED, int(trained * JUDGED_SHARE))
    if most >= len(split):
        return len(split)
    return max(1, min(most, JUDGED_VALUES // prod(split.aims.shape[1:]))) if split.streamed else most


def judged_split(splits: Splits) -> tuple[str, Split]:
    """The test split, or the next best one that has samples, and its name."""
    for name, split in (("test", splits.test), ("validation", splits.validation)):
        if split is not None and len(split):
            return name, split
    return "training", splits.train


class Heard:
    """Errors and used entries of the passes that the terms of a model are measured in."""

    def __init__(self, model: Autoencoder) -> None:
        self.usage, self.squares, self.batches = Usage(model), 0.0, 0

    def judge(self, outputs: Outputs) -> None:
        """Takes the pass of a batch."""
        squares = (outputs.reconstruction - outputs.target).square().sum(dtype=torch.float64)
        self.squares += float(squares) / outputs.draws
        self.usage.add(outputs.code.indices)
        self.batches += 1


@torch.no_grad()
def _score_baseline(plan: Plan, model: Autoencoder, reconstruct: Reconstruction, split: Split) -> Scores:
    device = next(model.parameters()).device
    mse, term, count, config = 0.0, 0.0, 0, plan.term("reconstruction")
    fits = True
    for test in judged_targets(split):
        values = clipped(reconstruct(test), plan.bounds)
        mse += float(np.square(values.astype(np.float64) - test).mean()) * (len(test) / len(split))
        for start, stop in batch_bounds(len(test) if fits else 0, 4096):
            parts = [torch.from_numpy(np.ascontiguousarray(part[start:stop])).to(device) for part in (values, test)]
            params = model.likelihood.params_of(parts[0])
            if params is None:
                fits = False
                break
            raw = model.likelihood(params, parts[1])
            term += float(config.config.reduce(raw, config.elements)) * (stop - start)
            count += stop - start
    return Scores({"reconstruction": term / count} if fits else {}, mse, _psnr(plan, mse))


def _psnr(plan: Plan, mse: float) -> float | None:
    low, high = plan.bounds.low, plan.bounds.high
    if low is None or high is None or mse <= 0:
        return None
    return 10 * math.log10((high - low) ** 2 / mse)
