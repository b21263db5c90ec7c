"""How usual a code is among those of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL = 64               # values of the largest code that gets full covariances
COMPONENTS = (1, 2, 4, 8)
MOST = 20_000           # codes that it is fitted to


@dataclass(frozen=True)
class Mixture:
    """A mixture of K Gaussians over codes of D values: weights [K], means [K, D], covariances [K, D, D] or their diagonals [K, D]."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    kind: ClassVar[str] = "mixture"

    def log_prob(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """In nats."""
        found: NDArray[np.float64] = self._model().score_samples(codes.reshape(len(codes), -1).astype(np.float64))
        return found

    def draw(self, count: int, seed: int) -> NDArray[Any]:
        """So many codes, in an order of their own."""
        random = np.random.RandomState(seed)
        chosen = random.choice(len(self.weights), count, p=self.weights)
        noise = random.standard_normal((count, self.means.shape[1]))
        if self.covariances.ndim == 2:
            spread = noise * np.sqrt(self.covariances[chosen])
        else:
            spread = np.einsum("nij,nj->ni", np.linalg.cholesky(self.covariances)[chosen], noise)
        drawn: NDArray[Any] = (self.means[chosen] + spread).astype(np.float32)
        return drawn

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Weights, means, covariances."""
        return {"weights": self.weights, "means": self.means, "covariances": self.covariances}

    def _model(self) -> Any:
        from sklearn.mixture import GaussianMixture

        form = "full" if self.covariances.ndim == 3 else "diag"
        model = GaussianMixture(len(self.weights), covariance_type=form)
        model.weights_, model.means_, model.covariances_ = self.weights, self.means, self.covariances
        inverse = np.linalg.inv(self.covariances) if form == "full" else 1 / self.covariances
        model.precisions_cholesky_ = np.linalg.cholesky(inverse) if form == "full" else np.sqrt(inverse)
        return model


@dataclass(frozen=True)
class Frequencies:
    """How often each index is used at its place, [places, classes], each counted once more than it was seen."""

    shares: NDArray[np.float64]

    kind: ClassVar[str] = "frequencies"

    def log_prob(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """In nats, of indices [n, places], which are taken to be independent."""
        places = np.arange(len(self.shares))
        found: NDArray[np.float64] = np.log(self.shares[places, codes]).sum(1)
        return found

    def draw(self, count: int, seed: int) -> NDArray[Any]:
        """So many rows of indices."""
        random = np.random.RandomState(seed)
        return np.stack([random.choice(len(share), count, p=share) for share in self.shares], 1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The shares."""
        return {"shares": self.shares}


def fit_density(codes: NDArray[Any], classes: int | None = None, components: int | None = None) -> Mixture | Frequencies:
    """Fits codes [n, ...], or indices [n, places] below `classes`; the number of Gaussians is the one with the least BIC, if not given."""
    if classes is not None:
        counts = np.stack([np.bincount(column, minlength=classes) for column in codes.T]) + 1.0
        return Frequencies(counts / counts.sum(1, keepdims=True))
    flat = codes.reshape(len(codes), -1).astype(np.float64)
    tried = [_mixture(flat, number) for number in ([components] if components else COMPONENTS) if number == 1 or number * 10 <= len(flat)]
    if not tried:
        tried = [_mixture(flat, max(1, len(flat) // 10))]
    best = min(tried, key=lambda model: model.bic(flat)) if len(tried) > 1 else tried[0]
    return Mixture(best.weights_, best.means_, best.covariances_)


def _mixture(codes: NDArray[np.float64], components: int) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    spread = float(codes.var(0).mean())
    form = "full" if codes.shape[1] <= FULL else "diag"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)          # a mixture that still moves a little is as good
        return GaussianMixture(components, covariance_type=form, reg_covar=max(1e-10, 1e-6 * spread), random_state=0).fit(codes)


def density_of(kind: str, arrays: Mapping[str, NDArray[Any]]) -> Mixture | Frequencies:
    """What `arrays` gave."""
    return Mixture(arrays["weights"], arrays["means"], arrays["covariances"]) if kind == Mixture.kind else Frequencies(arrays["shares"])
