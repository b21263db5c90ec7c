"""An autoencoder as a scikit-learn estimator: codes, reconstructions, outliers, in pipelines and searches."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

import aebuild
from aebuild.data.errors import listed
from aebuild.results.experiment import train_only
from aebuild.trainer.job import PLAIN, Manner
from aebuild.trainer.speed.execution import Execution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.api import Source
    from aebuild.results.open_run import OpenRun


SMALL = Manner(execution=Execution(threads=1))          # more threads wait for each other longer than so small a model takes
ROWS = 16          # that samples are filled up to a multiple of


class Autoencoder(ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An autoencoder of a spec: transforms samples to codes, and finds outliers by how unusual they are.

    Parameters
    ----------
    spec : what `aebuild.load` takes; its data are replaced. None: a small dense autoencoder for the features at hand.
    code : numbers in the code; None: as the spec says, without one a third of the features, at most 16.
    epochs, batch_size, lr : of the training; None: as the spec says, or as long as small data need.
    settings : further changes of the spec, like {"train.clip": 1.0}.
    shape : of a sample, where rows are flattened images or series, like (1, 8, 8).
    validation_fraction : of the samples, held back to choose the best weights; none of fewer than 10 samples.
    score_by : which score tells outliers: "reconstruction", "latent", "mahalanobis" or "combined".
    contamination : share of the training samples that are called outliers, in (0, 0.5].
    threshold : the score above which a sample is an outlier, in place of `contamination`.
    random_state : seed of everything random; None: the spec's own, so that each fit gives the same.
    folder : where each fit leaves a run directory, which can be opened, resumed and evaluated; None: nothing is left.

    Attributes
    ----------
    run_ : the trained model, as `aebuild.open_run` gives it.
    scorer_ : densities and residuals of the training samples, which scores are made from.
    offset_ : what `decision_function` takes off `score_samples`.
    """

    def __init__(self, spec: Source | None = None, *, code: int | None = None, epochs: int | None = None, batch_size: int | None = None,
                 lr: float | None = None, settings: Mapping[str, Any] | None = None, shape: Sequence[int] | None = None,
                 validation_fraction: float = 0.1, score_by: str = "reconstruction", contamination: float = 0.01,
                 threshold: float | None = None, random_state: Any = None, folder: str | os.PathLike[str] | None = None) -> None:
        self.spec = spec
        self.code = code
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.settings = settings
        self.shape = shape
        self.validation_fraction = validation_fraction
        self.score_by = score_by
        self.contamination = contamination
        self.threshold = threshold
        self.random_state = random_state
        self.folder = folder

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains the autoencoder on samples [n, features]; `y` is not looked at."""
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        if not 0 < self.contamination <= 0.5:
            raise ValueError(f"contamination is a share in (0, 0.5], not {self.contamination!r}")
        if not isinstance(self.settings, Mapping | None):
            raise ValueError(f"settings are a dict of paths and values like {{'train.clip': 1.0}}, not {self.settings!r}")
        spec = self._usual_spec(X.shape[1]) if self.spec is None else self.spec
        with TemporaryDirectory(prefix="aebuild-fit-") as scratch:
            loaded = aebuild.load(spec, self._changes(len(X)), data=self._shaped(X))
            if loaded.spec is not None and getattr(loaded.spec.data, "window", None) is not None:
                raise ValueError("an estimator takes a row for a sample, and this spec cuts a window out of many: aebuild.train takes it")
            if loaded.spec is not None and loaded.spec.condition:
                told = listed(loaded.spec.condition)
                raise ValueError(f"an estimator takes rows alone, and this spec is told {told} of each sample: aebuild.train takes it")
            parent = Path(scratch if self.folder is None else self.folder)
            self._take(aebuild.open_run(train_only(loaded, parent, SMALL if self.spec is None else PLAIN)))
        scores = self._scores(X)
        self.offset_ = float(np.percentile(scores, 100 * self.contamination) if self.threshold is None else -self.threshold)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The codes [n, code] of samples."""
        X = self._checked(X)
        return self.run_.encode(self._even(X)).values[:len(X)].reshape(len(X), -1)

    def inverse_transform(self, X: Any) -> NDArray[np.float64]:
        """The samples [n, features] that codes stand for."""
        check_is_fitted(self)
        codes = np.asarray(X, np.float32)
        return self.run_.decode(codes).reshape(len(codes), -1)

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Minus the anomaly score of each sample: of a likelihood the log-likelihood; high is usual."""
        return self._scores(self._checked(X))

    def _scores(self, X: NDArray[Any]) -> NDArray[np.float64]:
        batches = self.scorer_.batches(self.run_, self.run_.new(self._even(X)).split)
        return -np.concatenate([batch.by_name[self.score_by] for batch in batches])[:len(X)]

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`, which a search makes as large as it can."""
        return float(self.score_samples(X).mean())

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """`score_samples` less the threshold: negative for outliers."""
        decision: NDArray[np.float64] = self.score_samples(X) - self.offset_
        return decision

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for outliers, 1 for all others."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    @property
    def _n_features_out(self) -> int:
        return math.prod(self.run_.plan.latent.code.shape)

    def _usual_spec(self, features: int) -> dict[str, Any]:
        return {"name": "autoencoder", "encoder": {"layer": "linear", "width": [min(256, max(16, 2 * features))]},
                "latent": {"type": "continuous", "dim": min(16, max(1, features // 3))}}

    def _changes(self, samples: int) -> dict[str, Any]:
        """The parameters as settings of the spec."""
        held = round(self.validation_fraction * samples) if samples >= 10 else 0
        seed = None if self.random_state is None else int(check_random_state(self.random_state).randint(2**31))
        named = {"latent.dim": self.code, "train.epochs": self.epochs, "train.batch_size": self.batch_size, "train.optimizer.lr": self.lr,
                 "train.seed": seed, "data.split": {"validation": held, "test": 0}, "train.speed": "exact"}
        return {path: value for path, value in named.items() if value is not None} | dict(self.settings or {})

    def _checked(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        checked: NDArray[Any] = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return checked

    def _shaped(self, X: NDArray[Any]) -> NDArray[Any]:
        """Rows as samples of the model's shape."""
        if self.shape is None:
            return X
        if math.prod(self.shape) != X.shape[1]:
            raise ValueError(f"shape={tuple(self.shape)} has {math.prod(self.shape):,} values, and X has {X.shape[1]:,} features")
        return X.reshape(len(X), *self.shape)

    def _even(self, X: NDArray[Any]) -> NDArray[Any]:
        """Samples with the last one repeated, since kernels for few rows round otherwise: a sample's figures are its own."""
        return self._shaped(np.concatenate([X, np.repeat(X[-1:], -len(X) % ROWS, axis=0)]))

    def _take(self, run: OpenRun) -> None:
        from aebuild.lang.samples import silent
        from aebuild.results.inference.scorer import scorer_of

        self.run_, self.scorer_ = run, scorer_of(run, silent)
        if self.score_by not in self.scorer_.names:
            raise ValueError(f"score_by is one of {', '.join(self.scorer_.names)}, not {self.score_by!r}")

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "run_" in state:
            state["run_"] = _packed(self.run_)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "run_": _unpacked(state["run_"])} if "run_" in state else state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _packed(run: OpenRun) -> dict[str, Any]:
    """A trained model as text and bytes: what its run directory says of it, without code."""
    from safetensors.torch import save

    from aebuild.compile.canonical import text

    target = None if run.target_scaling is None else run.target_scaling.to_json()
    weights = {name: held.detach().cpu().contiguous().clone() for name, held in run.model.state_dict().items()}
    return {"folder": str(run.run.folder), "spec": text(run.plan.spec), "info": run.info.to_json(), "scaling": run.scaling.to_json(),
            "target_scaling": target, "kept": run.kept, "weights": save(weights)}


def _unpacked(told: Mapping[str, Any]) -> OpenRun:
    """The model again."""
    from safetensors.torch import load

    from aebuild.compile.build import build
    from aebuild.lang.samples import DataInfo
    from aebuild.lang.splits import Scaling
    from aebuild.results.open_run import OpenRun
    from aebuild.results.run_plan import plan_of
    from aebuild.trainer.run_dir.run import Run

    run, info = Run(Path(told["folder"])), DataInfo.from_json(told["info"])
    plan = plan_of(run, info, told["spec"])
    model = build(plan, plan.spec.train.seed)
    model.load_state_dict(load(told["weights"]))
    target = None if told["target_scaling"] is None else Scaling.from_json(told["target_scaling"])
    return OpenRun(run, plan, model.eval().requires_grad_(False), info, Scaling.from_json(told["scaling"]), target, told["kept"])
