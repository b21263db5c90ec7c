"""Test metrics of a trained model beside its baselines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import torch

from aebuild.lang.html_table import html_lines, html_table
from aebuild.lang.values import Grid, Sequence, Tokens, Vector, elements
from aebuild.metrics.outliers import components_of
from aebuild.modules.forming import Forming
from aebuild.modules.lengths import real_places
from aebuild.modules.likelihoods import Point, counted
from aebuild.results.baselines import (
    Reconstruction,
    clipped,
    fitted_rows,
    judged_targets,
    known_tokens,
    mean_reconstruction,
    pca_reconstruction,
    token_frequencies,
)
from aebuild.results.judged_split import judged_part
from aebuild.results.usage import Usage
from aebuild.trainer.batches.loader import SplitLoader, batch_bounds
from aebuild.trainer.distributed.process_group import ALONE
from aebuild.trainer.forward_passes import Passes
from aebuild.trainer.lr import Clock
from aebuild.trainer.objective import Objective
from aebuild.trainer.phase import measured, passes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.lang.diagnostics import Diagnostic
    from aebuild.lang.splits import Split, Splits
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.modules.outputs import Outputs
    from aebuild.results.answers import Kept


@dataclass(frozen=True)
class Scores:
    """How well one way to reconstruct does: mean terms per sample, error per element, further metrics.

    `psnr` in dB, from the mean squared error over the whole split; None where the data have no range. Of tokens there is the
    `accuracy` in place of both: the share that is right.
    """

    terms: dict[str, float]
    mse: float | None
    psnr: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    accuracy: float | None = None

    @property
    def figures(self) -> dict[str, float]:
        """All that is known, by name."""
        judged = {"mse": self.mse, "psnr": self.psnr, "accuracy": self.accuracy}
        return self.terms | {name: value for name, value in judged.items() if value is not None} | self.metrics

    def to_json(self) -> dict[str, Any]:
        """As evaluation.json has it."""
        judged = {"mse": self.mse, "psnr": self.psnr} if self.accuracy is None else {"accuracy": self.accuracy}
        return {"terms": self.terms, **judged, "metrics": self.metrics}


@dataclass(frozen=True)
class Evaluation:
    """The scores of the model, of PCA with a code of the same size, and of the mean sample; `findings` are warnings about them.

    Of tokens there is no PCA, and in place of the mean the most frequent token of each place.
    """

    name: str
    split: str
    samples: int
    code_values: int
    code_bits: float
    components: int
    model: Scores
    pca: Scores | None
    mean: Scores
    findings: tuple[Diagnostic, ...] = field(default=(), compare=False)       # they name the run's folder
    plain: Scores | None = None          # the simplest way back from a corruption that changes the input's type
    plain_name: str = ""
    whole: int = 0            # samples that the split has
    translated: bool = False  # the encoder sees something else than the target, which PCA sees
    tasks: dict[str, Kept] = field(default_factory=dict, compare=False)      # the answers of further tasks

    def _repr_html_(self) -> str:
        """For notebooks: the model beside its baselines, and what is to be said of it."""
        guess = "mean" if self.pca is not None else "most frequent"
        parts = [self.model.figures, *(held.figures for held in (self.plain, self.pca) if held is not None), self.mean.figures]
        others = [name for name, held in ((self.plain_name, self.plain), (f"PCA, {self.components}", self.pca)) if held is not None]
        head = ("", self.name, *others, guess)
        rows: list[tuple[object, ...]] = [(name, *(part.get(name, "") for part in parts)) for name in parts[0]]
        rows += [(f"{task} {name}", figure) for task, kept in self.tasks.items() for name, figure in kept.answer.figures.items()]
        title = f"{self.split}, {self.samples:,} samples; code of {self.code_values:,} values"
        return html_table(title, head, rows) + html_lines(f"{each.code}: {each.message}" for each in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As evaluation.json has it."""
        tasks = {name: kept.answer.figures for name, kept in self.tasks.items()}
        return {"name": self.name, "split": self.split, "samples": self.samples, "samples_in_split": self.whole,
                "code_values": self.code_values,
                "code_bits": self.code_bits,
                "model": self.model.to_json(), **self._baselines(), **({"tasks": tasks} if tasks else {}),
                "warnings": [{"code": each.code, "message": each.message, "fix": each.fix} for each in self.findings]}

    def _baselines(self) -> dict[str, Any]:
        if self.pca is None:
            return {"most_frequent": self.mean.to_json()}
        plain = {} if self.plain is None else {"plain": {"name": self.plain_name, **self.plain.to_json()}}
        return {"pca": {"components": self.components, **self.pca.to_json()}, "mean": self.mean.to_json(), **plain}


def evaluate(plan: Plan, model: Autoencoder, splits: Splits, *, trained: int | None = None,
             progress: Callable[[str, int, int], object] = lambda what, done, whole: None) -> Evaluation:
    """Judges the model on the test split (validation or training where there is none), in evaluation mode.

    A variational code is one draw from the posterior. The baselines see the same targets; both know the training split only. After
    a training of so many samples (`trained`) a large split is judged by samples of it. `progress` hears what is done and how far.
    """
    name, split, whole = judged_part(splits, trained)
    device = next(model.parameters()).device
    loader = SplitLoader(split, device)
    bounds = passes(plan, plan.phases[-1], loader.samples)
    heard = Heard(model)

    def follow(outputs: Outputs) -> None:
        heard.judge(outputs)
        progress("evaluating the model", heard.batches, len(bounds))

    bound = plan.spec.losses.bound
    objective, forward = Objective(plan.terms, Clock(1, 1), bound), Passes(model, None, bound.draws, shared=False, codes=False)
    means = measured(plan, model, objective, forward, bounds, loader, ALONE, follow)
    names = {term.name for term in plan.terms}
    error, usage = heard.error / heard.judged, heard.usage.metrics()
    terms = {term: value for term, value in means.items() if term in names}
    metrics = {metric: value for metric, value in means.items() if metric not in names} | usage
    components, pca, guess = _baselines(plan, model, splits, split, progress)
    plain, plain_name = _plain(plan, model, split)
    return Evaluation(plan.spec.name, name, len(split), plan.latent.values, plan.latent.bits, components,
                      _scores(plan, terms, error, metrics), pca, guess, whole=whole, plain=plain, plain_name=plain_name,
                      translated=plain is not None or split.targets is not None)


def _plain(plan: Plan, model: Autoencoder, split: Split) -> tuple[Scores | None, str]:
    """What anybody would make of the changed input, and its name: enlarged again, or grey; None where the type is not changed."""
    forming = [module for module in model.corruptions if isinstance(module, Forming)]
    if not forming or split.targets is not None or len(forming) < len(model.corruptions):
        return None, ""

    def reconstruct(test: NDArray[np.float32]) -> NDArray[np.float32]:
        x = model.formed(torch.from_numpy(test))
        for module in reversed(forming):
            x = module.back(x)
        found: NDArray[np.float32] = x.numpy()
        return found

    return _score_baseline(plan, model, reconstruct, split), " and ".join(module.plain for module in forming)


def _scores(plan: Plan, terms: dict[str, float], error: float, metrics: dict[str, float] | None = None) -> Scores:
    """The scores of this error: squared, or the share of tokens that are wrong."""
    match plan.target:
        case Vector() | Grid() | Sequence():
            return Scores(terms, error, _psnr(plan, error), metrics or {})
        case Tokens():
            return Scores(terms, None, None, metrics or {}, accuracy=1 - error)
        case _:
            assert_never(plan.target)


def _baselines(plan: Plan, model: Autoencoder, splits: Splits, split: Split, progress: Callable[[str, int, int], object]
               ) -> tuple[int, Scores | None, Scores]:
    """The components of PCA, its scores, and those of one guess for all samples; there is no PCA of tokens."""
    match plan.target:
        case Vector() | Grid() | Sequence():
            progress("fitting PCA to compare with", 0, 0)
            training = fitted_rows(splits.train.aims)
            components = components_of(plan.latent.bits, len(training), elements(plan.target))
            return (components, _score_baseline(plan, model, pca_reconstruction(training, components), split),
                    _score_baseline(plan, model, mean_reconstruction(training), split))
        case Tokens(classes=classes):
            found = token_frequencies(known_tokens(splits.train), classes, splits.train.lengths)
            return 0, None, _score_frequencies(plan, model, found, split)
        case _:
            assert_never(plan.target)


class Heard:
    """Errors and used entries of the passes that the terms of a model are measured in.

    `error` is the squared error of all elements that count, or the number of wrong tokens; `judged` how many they are.
    """

    def __init__(self, model: Autoencoder) -> None:
        self.usage, self.error, self.judged, self.batches = Usage(model), 0.0, 0.0, 0
        self.likelihood = model.likelihood

    def judge(self, outputs: Outputs) -> None:
        """Takes the pass of a batch."""
        target = outputs.target
        apart = outputs.reconstruction - target if target.is_floating_point() else (outputs.reconstruction != target).double()
        counts = self.likelihood.counts(outputs)
        real = None if counts is None else counts.expand_as(target)
        held = apart if real is None else apart.masked_fill(~real, 0.0)
        self.error += float(held.square().sum(dtype=torch.float64)) / outputs.draws
        self.judged += (target.numel() if real is None else int(real.sum())) / outputs.draws
        self.usage.add(outputs.code.indices)
        self.batches += 1


@torch.no_grad()
def _score_baseline(plan: Plan, model: Autoencoder, reconstruct: Reconstruction, split: Split) -> Scores:
    device = next(model.parameters()).device
    mse, term, count, config = 0.0, 0.0, 0, plan.term("reconstruction")
    # of samples in memory, which come in one piece
    lengths, mask = (None if held is None else torch.from_numpy(held) for held in (split.lengths, split.beside.get("mask")))
    fits = model.likelihood.whole
    unbounded = isinstance(model.likelihood, Point)           # so is the baseline then: a linear model can be as good as PCA, not better
    for test in judged_targets(split):
        values = reconstruct(test) if unbounded else clipped(reconstruct(test), plan.bounds)
        counts = counted(torch.from_numpy(test), lengths, mask)
        real = None if counts is None else counts.expand(test.shape).numpy()
        error, share = np.square(values.astype(np.float64) - test), len(test) / len(split)
        mse += float(error.mean() if real is None else error.mean(where=real)) * share
        for start, stop in batch_bounds(len(test), 4096) if fits else ():
            parts = [torch.from_numpy(np.ascontiguousarray(part[start:stop])).to(device) for part in (values, test)]
            params = model.likelihood.params_of(parts[0])
            if params is None:
                fits = False
                break
            limits = [None if held is None else held[start:stop].to(device) for held in (lengths, mask)]
            raw = model.likelihood.within(params, parts[1], *limits)
            term += float(config.config.reduce(raw, config.elements)) * (stop - start)
            count += stop - start
    return _scores(plan, {"reconstruction": term / count} if fits else {}, mse)


@torch.no_grad()
def _score_frequencies(plan: Plan, model: Autoencoder, frequencies: NDArray[np.float32], split: Split) -> Scores:
    """The scores of the same guess for all samples: how often each token stands at each place, [T, K]."""
    loader, config = SplitLoader(split, next(model.parameters()).device), plan.term("reconstruction")
    logits = torch.from_numpy(frequencies).log().to(loader.device)
    term = wrong = judged = 0.0
    for batch in loader.passing(batch_bounds(loader.samples, 4096)):
        params = logits.expand(len(batch.target), *logits.shape)
        term += float(config.config.reduce(model.likelihood.within(params, batch.target, batch.lengths), config.elements)) * len(params)
        missed = params.argmax(-1) != batch.target
        real = torch.ones_like(missed) if batch.lengths is None else real_places(batch.lengths, batch.target)
        wrong, judged = wrong + float((missed & real).sum()), judged + float(real.sum())
    return _scores(plan, {"reconstruction": term / loader.samples} if model.likelihood.whole else {}, wrong / judged)


def _psnr(plan: Plan, mse: float) -> float | None:
    low, high = plan.bounds.low, plan.bounds.high
    if low is None or high is None or mse <= 0:
        return None
    return 10 * math.log10((high - low) ** 2 / mse)
