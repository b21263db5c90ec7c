"""A trained model with its data: what evaluation tasks are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from aebuild.compile.build import build
from aebuild.data.labels import words_of
from aebuild.data.new_samples import NewData
from aebuild.lang.tasks import Unanswered
from aebuild.lang.values import Tokens
from aebuild.modules.randomness import derive, random_modules
from aebuild.results.inference.fitted_arrays import read_fitted, write_fitted
from aebuild.results.inference.given import by_name, split_conditions
from aebuild.results.inference.passes import decoded, encoded
from aebuild.results.inference.sampling import sample_batches
from aebuild.results.inference.scorer import fit_scorer, joined, keep_scorer, kept_scorer
from aebuild.results.inference.walks import interpolate, moved, traverse
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.phase import passes, reseed_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split, Splits
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.modules.outputs import Outputs
    from aebuild.results.trained_run import TrainedRun


class TrainedModel:
    """See `lang.tasks.Trained`; `judged` is the split that is judged. What has to be fitted is kept in the run."""

    def __init__(self, run: TrainedRun, splits: Splits, judged: Split, progress: Callable[[int, int], object] = lambda done, whole: None
                 ) -> None:
        self.run, self.plan, self.model, self.splits, self.judged = run, run.plan, run.model, splits, judged
        self.progress = progress

    def passes(self, split: Split, draws: int | None = None, seed: int = 0) -> Iterator[Outputs]:
        """The forward pass of each batch, without gradients; with `draws` so many random codes a sample, other ones for another seed."""
        self.model.eval()
        feed, randoms = SplitLoader(split, next(self.model.parameters()).device), random_modules(self.model)
        done = 0
        for number, batch in enumerate(feed.passing(passes(self.plan, self.plan.model_phase, feed.samples))):
            with torch.no_grad():
                reseed_all(randoms, derive(self.plan.spec.train.seed, "task", seed), number)
                outputs = self.model.run(batch, draws=draws)
            outputs.mean = None if outputs.mean is None else torch.no_grad()(outputs.mean)      # computed when asked for
            yield outputs
            done += len(batch.x)
            self.follow(done, len(split))

    def codes(self, split: Split) -> NDArray[Any]:
        """The codes, [n, ...]: of a variational latent the posterior's means, of a discrete one the indices."""
        discrete = isinstance(self.plan.latent.codes, Tokens)
        return np.concatenate([(self.model.latent.codes_of(each.code) if discrete else each.value).cpu().numpy()
                               for each in encoded(self.run, split, progress=self.follow)])

    def code_values(self, split: Split) -> NDArray[Any]:
        """The codes as numbers, [n, ...]: the same, but of a discrete latent the entries that the indices stand for."""
        return np.concatenate([each.value.cpu().numpy() for each in encoded(self.run, split, progress=self.follow)])

    def fitted(self, name: str, version: str, fit: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        """The arrays that `fit` gives, or gave: the run keeps them with these weights, under a name and the version of their form."""
        kept = read_fitted(self.run, name, version)
        if kept is not None:
            return kept[1]
        made = dict(fit())
        write_fitted(self.run, name, version, made)
        return made

    def reconstructions(self, split: Split) -> NDArray[Any]:
        """The expected data, [n, ...]."""
        return np.concatenate([outputs.reconstruction.cpu().numpy() for outputs in self.passes(split)])

    def terms(self, split: Split) -> dict[str, NDArray[Any]]:
        """Each loss term of each sample, unweighted, [n]; terms of a whole batch are left out."""
        found: dict[str, list[NDArray[Any]]] = {}
        for outputs in self.passes(split):
            with torch.no_grad():
                raw = self.model.losses(outputs, [term.name for term in self.plan.terms])
            for term in self.plan.terms:
                if term.name in raw and raw[term.name].ndim:
                    found.setdefault(term.name, []).append(term.config.by_sample(raw[term.name], term.elements).cpu().numpy())
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The expected data of codes [n, ...], or of a discrete latent's indices; of a conditioned model told those of samples drawn."""
        self._require("decode")
        told = self.conditions(len(codes), 0)
        return np.concatenate([batch.cpu().numpy() for batch in decoded(self.run, torch.from_numpy(np.ascontiguousarray(codes)), told)])

    def samples(self, count: int, seed: int = 0) -> NDArray[Any]:
        """New samples [count, ...]: from the model's own prior, or where it has none from a mixture fitted to its codes."""
        own = "sample" not in self.model.refusals
        if not own:
            self._require("decode")
        prior = "own" if own else "frequencies" if isinstance(self.plan.latent.codes, Tokens) else "mixture"
        return np.concatenate(list(sample_batches(self.run, count, prior=prior, seed=seed, progress=self.follow,
                                                  conditions=self.conditions(count, seed))))

    def interpolations(self, first: Split, second: Split, steps: int, *, path: Literal["linear", "spherical"] = "linear",
                       where: Literal["code", "features"] | None = None) -> NDArray[Any]:
        """[n, steps, ...] from each sample of one split to that of the other; between codes, or features before the bottleneck."""
        self._require("interpolate")
        return interpolate(self.run, self._as_data(first), self._as_data(second), steps, path=path, where=where)

    def traversals(self, split: Split, steps: int, dims: Sequence[int] | None, span: float, around: int
                   ) -> tuple[NDArray[Any], Sequence[int]]:
        """[dims, steps, ...]: a sample with one value of its code changed at a time, and which values; the widest ones without `dims`."""
        return traverse(self.run, self._as_data(split), steps, dims=dims, span=span, around=around)

    def moved(self, split: Split, add: str | None, remove: str | None, steps: int, count: int) -> NDArray[Any]:
        """[count, steps, ...]: the first samples, moved by the mean code of one label less that of another."""
        data = self._as_data(split)
        return moved(self.run, data, data, add, remove, steps, count)

    def scores(self, split: Split) -> dict[str, NDArray[Any]]:
        """Anomaly scores by name, [n] each, higher for what is more unusual."""
        scorer = kept_scorer(self.run)
        if scorer is None:
            scorer = fit_scorer(self.run, self.splits, self.follow)
            keep_scorer(self.run, scorer)
        return joined(scorer.batches(self.run, split, progress=self.follow)).by_name

    def untrained(self, seed: int = 0) -> Autoencoder:
        """A model of the same plan with fresh weights, on the same device."""
        return build(self.plan, seed).to(next(self.model.parameters()).device)

    def follow(self, done: int, whole: int) -> None:
        """Tells how far the task is."""
        self.progress(done, whole)

    def conditions(self, count: int, seed: int = 0) -> NDArray[np.float32] | None:
        """What a conditioned model is told of new samples: of so many of the judged split, drawn at random."""
        held = split_conditions(self.judged)
        return None if held is None else held[np.random.default_rng(seed).integers(0, len(held), count)]

    def _require(self, operation: str) -> None:
        why = self.model.refusals.get(operation)
        if why is not None:
            raise Unanswered(f"this model cannot {operation}: {why}")

    def _as_data(self, split: Split) -> NewData:
        run = self.run
        words = None if split.labels is None else words_of(split.labels, self.splits.class_names, len(split))
        return NewData(split, run.plan.spec.data, run.info, run.scaling, run.target_scaling, {}, words,
                       conditions=by_name(run.info, split))
