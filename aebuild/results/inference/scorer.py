"""Anomaly scores by name, each calibrated on samples that training held back; kept in the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aebuild.lang.values import Tokens
from aebuild.modules.lengths import silenced
from aebuild.modules.likelihoods import counted
from aebuild.results.inference.code_density import MOST, Frequencies, Mixture, density_of, fit_density
from aebuild.results.inference.fitted_arrays import read_fitted, write_fitted
from aebuild.results.inference.new_data import own_splits
from aebuild.results.inference.passes import Pass, Progress, encoded, unseen
from aebuild.results.inference.residuals import Ends, Residuals, fit_residuals, over_steps, real_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split, Splits
    from aebuild.results.trained_run import TrainedRun

NAME = "scorer"
NAMES = ("reconstruction", "latent", "mahalanobis", "combined")
JOINED = NAMES[:3]               # what `combined` adds up
ON_REQUEST = ("signed", "prior")         # scores that are there by name only, since they are sound for some data only
MEANINGS = {"reconstruction": "surprise at a sample under the likelihood, or its error, summed over its elements",
            "latent": "surprise at its code under a density fitted to the codes of the training data",
            "mahalanobis": "distance of its residuals from those of the training data, by their covariance (of series of unequal "
                           "length the mean over their steps)",
            "combined": "minus the log-probability that an ordinary sample scores as high in the three others, added up (Fisher, 1932)",
            "prior": "nats of surprise at its code under the model's own prior, or a bound of them",
            "signed": "what the reconstruction has more than the sample, summed with its sign; errors of both signs cancel"}
SUMS = ("reconstruction", "signed")       # over the elements of a sample
TAIL = 0.05          # share of the calibration, the largest scores, by which it goes on as an exponential
LEAST = 10           # of them at least
FORMAT = "3"


@dataclass
class Scores:
    """Scores of a batch or of all samples, [n] each, higher for what is more unusual.

    `steps` are, of series, the surprise of each step, [n, T]; `parts` how unusual each element is, like the target; `norms` the length
    of each sample, which a score should not merely repeat.
    """

    by_name: dict[str, NDArray[np.float64]]
    norms: NDArray[np.float64]
    steps: NDArray[np.float64] | None = None
    parts: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Scorer:
    """What scores need beside the model: densities and residuals of the training data, and scores of held-back samples in order.

    `calibration` holds them by name, `steps` are those of single steps where samples are series; `held_back` says which samples they are.
    """

    density: Mixture | Frequencies
    residuals: Residuals | None
    calibration: Mapping[str, NDArray[np.float64]]
    held_back: str

    @property
    def names(self) -> tuple[str, ...]:
        """The scores that this model has."""
        return tuple(name for name in NAMES if name != "mahalanobis" or self.residuals is not None)

    @property
    def on_request(self) -> tuple[str, ...]:
        """Further ones, which are given by name only."""
        return tuple(name for name in ON_REQUEST if name in self.calibration)

    def batches(self, run: TrainedRun, split: Split, *, parts: bool = False, progress: Progress = unseen) -> Iterator[Scores]:
        """The scores of a split, batch by batch."""
        for each in encoded(run, split, progress=progress):
            yield self._scores(run, each, parts)

    @torch.no_grad()
    def _scores(self, run: TrainedRun, each: Pass, parts: bool) -> Scores:
        """Those of one batch."""
        model, batch = run.model, each.batch
        params = model.parameters_of(each.value, each.context)
        single = split_by_element(model.likelihood, params, batch)
        surprise = _double(model.likelihood.within(params, batch.target, batch.lengths, batch.mask)) if single is None else single.reshape(
            len(single), -1).sum(1)
        codes = model.latent.codes_of(each.code).cpu().numpy() if each.code.indices is not None else each.value.cpu().numpy()
        found = {"reconstruction": surprise, "latent": -self.density.log_prob(codes)}
        if (own := surprise_of_prior(model.latent, each)) is not None:
            found["prior"] = own
        shown = None
        if self.residuals is not None:
            apart, ends = residuals_of(model, params, batch), Ends.of(batch)
            found["mahalanobis"] = over_steps(self.residuals.distance, apart, ends)
            found["signed"] = -apart.sum(1)
            shown = over_steps(self.residuals.standardised, apart, ends, each=True).reshape(batch.target.shape) if parts else None
        elif parts:
            shown = single
        if self.calibration:
            found["combined"] = combined(self.calibration, found)
        steps = None if single is None or run.plan.target.series_length is None else single.reshape(*single.shape[:2], -1).sum(2)
        return Scores(found, np.linalg.norm(_double(silenced(batch.x, batch.lengths)).reshape(len(batch.x), -1), axis=1), steps,
                      None if shown is None else shown.astype(np.float32))


def _double(tensor: torch.Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = tensor.double().cpu().numpy()
    return found


def split_by_element(likelihood: Any, params: torch.Tensor, batch: Any) -> NDArray[np.float64] | None:
    """The surprise at each element, [n, ...] like the target; None from a likelihood that judges samples as a whole."""
    try:
        each = likelihood.each(params, batch.target)
    except TypeError:
        return None
    counts = counted(batch.target, batch.lengths, batch.mask)
    return _double(each if counts is None else each.masked_fill(~counts, 0.0))


def surprise_of_prior(latent: Any, each: Pass) -> NDArray[np.float64] | None:
    """Nats of each code, [n], under the prior that the model was trained with; None where it has no density."""
    codes = latent.codes_of(replace(each.code, value=each.value))
    try:
        nats = latent.prior.given(each.context).surprise(codes)
    except TypeError:
        return None
    total: NDArray[np.float64] = _double(nats).reshape(len(codes), -1).sum(1)
    return total


def residuals_of(model: Any, params: torch.Tensor, batch: Any) -> NDArray[np.float64]:
    """Target less expectation, [n, E]."""
    apart = batch.target - model.likelihood.mean(params)
    counts = counted(batch.target, batch.lengths, batch.mask)
    return _double((apart if counts is None else apart.masked_fill(~counts, 0.0)).flatten(1))


def tail(ordinary: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of ordinary scores (in order) at least as high, in (0, 1]; among the largest 5 % it falls off exponentially.

    The sample itself is counted among the ordinary ones, so that the share is a p-value.
    """
    count = len(ordinary)
    share: NDArray[np.float64] = (count - np.searchsorted(ordinary, scores, "left") + 1) / (count + 1)
    largest = min(count - 1, max(LEAST, int(TAIL * count)))
    if largest < 1:
        return share
    knee = float(ordinary[-largest - 1])
    excess = float((ordinary[-largest:] - knee).mean())
    if excess > 0:
        beyond = scores > knee
        share[beyond] = np.maximum(1e-300, (largest + 1) / (count + 1) * np.exp(-(scores[beyond] - knee) / excess))
    return share


def combined(calibration: Mapping[str, NDArray[np.float64]], found: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Minus the logarithms of the shares of the scores that `found` has, added up; [n]."""
    total: NDArray[np.float64] = np.sum([-np.log(tail(calibration[name], found[name])) for name in JOINED if name in found], axis=0)
    return total


def scorer_of(run: TrainedRun, say: Callable[[str], None], progress: Progress = unseen) -> Scorer:
    """The run's scorer: the one that it keeps, or a new one that it keeps from now on."""
    kept = kept_scorer(run)
    if kept is not None:
        return kept
    say("fitting scores to the training data, once for this run")
    made = fit_scorer(run, own_splits(run, say), progress)
    keep_scorer(run, made)
    return made


def fit_scorer(run: TrainedRun, splits: Splits, progress: Progress = unseen) -> Scorer:
    """Fits densities and residuals to training samples (20,000 of them at most), and calibrates on validation samples."""
    training = splits.train if len(splits.train) <= MOST else splits.train.thinned(MOST)
    codes: list[NDArray[Any]] = []
    kind = run.plan.latent.codes
    numeric = not isinstance(run.plan.target, Tokens)

    def apart() -> Iterator[NDArray[np.float64]]:
        for each in encoded(run, training, progress=progress):
            discrete = each.code.indices is not None
            codes.append((run.model.latent.codes_of(each.code) if discrete else each.value).cpu().numpy())
            if numeric:
                with torch.no_grad():
                    params = run.model.parameters_of(each.value, each.context)
                    yield real_steps(residuals_of(run.model, params, each.batch), Ends.of(each.batch))

    residuals = fit_residuals(apart()) if numeric else None
    if not numeric:
        list(apart())
    density = fit_density(np.concatenate(codes), kind.classes if isinstance(kind, Tokens) else None)
    held, name = (splits.validation, "validation") if splits.validation is not None and len(splits.validation) else (training, "training")
    begun = Scorer(density, residuals, {}, name)
    return Scorer(density, residuals, _calibrated(run, begun, held if len(held) <= MOST else _fewer(held)), name)


def _fewer(held: Split) -> Split:
    """MOST of the samples; of windows the first ones, since steps are averaged over neighbours as they are in new data."""
    return held.thinned(MOST) if held.windows is None else held.taken(np.arange(MOST))


def _calibrated(run: TrainedRun, begun: Scorer, held: Split) -> dict[str, NDArray[np.float64]]:
    """The scores of held-back samples in order, by name; `steps` those of their steps, merged where windows overlap."""
    from aebuild.results.inference.codes import merged_windows

    whole = joined(begun.batches(run, held))
    first = {name: np.sort(values) for name, values in whole.by_name.items()}
    joint = combined(first, whole.by_name)
    found = {**first, "combined": np.sort(joint)}
    for name, values in {**whole.by_name, "combined": joint}.items():
        steps = steps_of(whole, name, values)
        if steps is not None:
            merged = steps.ravel() if held.windows is None else merged_windows(held.windows, [steps])
            found[f"{name} steps"] = np.sort(merged[np.isfinite(merged)])
    return found


def steps_of(scores: Scores, name: str, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """A score for each step, [n, T]: its own surprise, or what its sample scores; None where samples have no steps."""
    if scores.steps is None:
        return None
    return scores.steps if name == "reconstruction" else np.repeat(values[:, None], scores.steps.shape[1], 1)


def joined(batches: Iterator[Scores]) -> Scores:
    """The scores of all samples."""
    held = list(batches)
    steps = [each.steps for each in held if each.steps is not None]
    parts = [each.parts for each in held if each.parts is not None]
    return Scores({name: np.concatenate([each.by_name[name] for each in held]) for name in held[0].by_name},
                  np.concatenate([each.norms for each in held]), np.concatenate(steps) if steps else None,
                  np.concatenate(parts) if parts else None)


def per_step(name: str, scores: NDArray[np.float64], norms: NDArray[np.float64], steps: NDArray[np.int64] | None
             ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and norms as they compare where series have a number of `steps` of their own, with which sums grow."""
    if steps is None:
        return scores, norms
    return scores / steps if name in SUMS else scores, norms / np.sqrt(steps)


def keep_scorer(run: TrainedRun, scorer: Scorer) -> None:
    """Writes a scorer into the run."""
    arrays = {f"density.{name}": held for name, held in scorer.density.arrays().items()}
    arrays |= {f"calibration.{name}": held for name, held in scorer.calibration.items()}
    if scorer.residuals is not None:
        arrays |= {"residuals.mean": scorer.residuals.mean, "residuals.variance": scorer.residuals.variance}
        if scorer.residuals.whitening is not None:
            arrays["residuals.whitening"] = scorer.residuals.whitening
    write_fitted(run, NAME, FORMAT, arrays, density=scorer.density.kind, held_back=scorer.held_back)


def kept_scorer(run: TrainedRun) -> Scorer | None:
    """The scorer that the run keeps, if it fits."""
    found = read_fitted(run, NAME, FORMAT)
    try:
        return None if found is None else _scorer(*found, run.plan.target.features if run.info.ragged else prod(run.plan.target.shape))
    except KeyError:
        return None


def _scorer(about: Mapping[str, str], held: Mapping[str, NDArray[Any]], size: int) -> Scorer | None:
    def below(start: str) -> dict[str, NDArray[Any]]:
        return {name.removeprefix(start): array for name, array in held.items() if name.startswith(start)}

    found = below("residuals.")
    residuals = Residuals(found["mean"], found["variance"], found.get("whitening")) if found else None
    if residuals is not None and len(residuals.mean) != size:
        return None
    return Scorer(density_of(about["density"], below("density.")), residuals, below("calibration."), about["held_back"])

