"""Test metrics of a trained model beside two baselines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aebuild.lang.values import elements
from aebuild.modules.randomness import derive, random_modules
from aebuild.results.baselines import (
    Reconstruction,
    clipped,
    components_of,
    judge,
    judged_targets,
    known_targets,
    mean_reconstruction,
    pca_reconstruction,
)
from aebuild.results.usage import Usage
from aebuild.trainer.feed import Feed, batch_bounds
from aebuild.trainer.phase import measure, passes, reseed_all

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.diagnostics import Diagnostic
    from aebuild.lang.splits import Split, Splits
    from aebuild.modules.autoencoder import Autoencoder


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

    def to_json(self) -> dict[str, Any]:
        """As evaluation.json has it."""
        return {"name": self.name, "split": self.split, "samples": self.samples, "code_values": self.code_values,
                "code_bits": self.code_bits,
                "model": self.model.to_json(), "pca": {"components": self.components, **self.pca.to_json()},
                "mean": self.mean.to_json(),
                "warnings": [{"code": each.code, "message": each.message, "fix": each.fix} for each in self.findings]}


def evaluate(plan: Plan, model: Autoencoder, splits: Splits) -> Evaluation:
    """Judges the model on the test split (validation or training where there is none), in evaluation mode.

    A variational code is one draw from the posterior. The baselines see the same targets; both know the training split only.
    """
    name, split = judged_split(splits)
    device = next(model.parameters()).device
    feed = Feed(split, device)
    means = measure(plan, replace(plan.phases[-1], pair=None), model, feed)
    names = {term.name for term in plan.terms}
    mse, usage = _errors_and_usage(plan, model, feed)
    own = Scores({term: value for term, value in means.items() if term in names}, mse, _psnr(plan, mse),
                 {metric: value for metric, value in means.items() if metric not in names} | usage)
    training = known_targets(splits.train)
    components = components_of(plan.latent.bits, len(training), elements(plan.target))
    return Evaluation(plan.spec.name, name, len(split), plan.latent.values, plan.latent.bits, components, own,
                      _score_baseline(plan, model, pca_reconstruction(training, components), split),
                      _score_baseline(plan, model, mean_reconstruction(training), split))


def judged_split(splits: Splits) -> tuple[str, Split]:
    """The test split, or the next best one that has samples, and its name."""
    for name, split in (("test", splits.test), ("validation", splits.validation)):
        if split is not None and len(split):
            return name, split
    return "training", splits.train


@torch.no_grad()
def _errors_and_usage(plan: Plan, model: Autoencoder, feed: Feed) -> tuple[float, dict[str, float]]:
    model.eval()
    randoms, usage, total = random_modules(model), Usage(model), 0.0
    for number, batch in enumerate(feed.passing(passes(plan, plan.phases[-1], feed.samples))):
        reseed_all(randoms, derive(plan.spec.train.seed, "measure", "autoencoder"), number)
        total += float((model.reconstruct(batch.x) - batch.target).square().sum(dtype=torch.float64))
        usage.add(batch.x)
    return total / (feed.samples * elements(plan.target)), usage.metrics()


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
            raw = judge(model.likelihood, *parts)
            if raw is None:
                fits = False
                break
            term += float(config.config.reduce(raw, config.elements)) * (stop - start)
            count += stop - start
    return Scores({"reconstruction": term / count} if fits else {}, mse, _psnr(plan, mse))


def _psnr(plan: Plan, mse: float) -> float | None:
    low, high = plan.bounds.low, plan.bounds.high
    if low is None or high is None or mse <= 0:
        return None
    return 10 * math.log10((high - low) ** 2 / mse)
