"""How far the dimensions of a code stand for one factor each of what samples were made from.

Codes are [n, d] numbers, factors [n, f] whole numbers from 0 on, each of which takes at least two values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREES = 10            # of a forest
HELD_OUT = 0.3        # share of the samples that predictors are judged by
BATCH = 64            # samples with one factor in common, as Kim and Mnih have it
DEAD = 1e-12          # share of the largest variance below which a dimension is dead


@dataclass(frozen=True)
class Importance:
    """How much each dimension helps to predict each factor, [d, f], each column adding up to 1 or 0; and the share predicted, [f]."""

    of: NDArray[np.float64]
    right: NDArray[np.float64]


def binned(codes: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Each dimension as the number of its bin, [n, d]; bins are equally wide from its least to its greatest value."""
    low, high = codes.min(0), codes.max(0)
    width = np.where(high > low, high - low, 1.0)
    return np.asarray(np.minimum((codes - low) / width * bins, bins - 1), np.int64)


def mutual_information(codes: NDArray[np.int64], factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nats that each dimension (whole numbers) has in common with each factor, [d, f], by how often both occur together."""
    return np.asarray([[_information(code, factor) for factor in factors.T] for code in codes.T])


def _information(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    together = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(together, (a, b), 1)
    together /= len(a)
    apart = together.sum(1, keepdims=True) * together.sum(0, keepdims=True)
    there = together > 0
    return max(0.0, float((together[there] * np.log(together[there] / apart[there])).sum()))


def entropies(factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nats of each factor, [f]."""
    return np.asarray([_information(factor, factor) for factor in factors.T])


def information_gap(shares: NDArray[np.float64]) -> float:
    """MIG (Chen et al., 2018): how much more the dimension that tells most of a factor tells than the second, mean over the factors.

    `shares` [d, f] is the mutual information as a share of each factor's entropy. To a code of one dimension a second one is added that
    tells nothing.
    """
    return float(_gaps(shares).mean())


def _gaps(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best less the second best of each column."""
    ordered = np.sort(np.concatenate([scores, np.zeros((1, scores.shape[1]))]) if len(scores) == 1 else scores, axis=0)
    return np.asarray(ordered[-1] - ordered[-2])


def separated_predictability(codes: NDArray[np.float64], factors: NDArray[np.int64], ordered: Sequence[bool]) -> float:
    """SAP (Kumar et al., 2018): mean gap between the two dimensions that predict a factor best, each alone.

    Of an ordered factor it is the share of its variance that a line explains, of another the accuracy above chance of a logistic
    regression on held-out samples: with chance at 0 a perfect code has 1 either way, which with plain accuracy it has not.
    """
    scores = np.zeros((codes.shape[1], factors.shape[1]))
    for place, (factor, line) in enumerate(zip(factors.T, ordered, strict=True)):
        for dimension, code in enumerate(codes.T):
            scores[dimension, place] = 0.0 if code.std() == 0 else _explained(code, factor) if line else _above_chance(code, factor)
    return float(_gaps(scores).mean())


def _explained(code: NDArray[np.float64], factor: NDArray[np.int64]) -> float:
    return float(np.corrcoef(code, factor)[0, 1] ** 2)


def _above_chance(code: NDArray[np.float64], factor: NDArray[np.int64]) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    train, test = _divided(len(code))
    x = ((code - code[train].mean()) / max(float(code[train].std()), 1e-12))[:, None]
    if len(np.unique(factor[train])) < 2:
        return 0.0
    model = LogisticRegression(C=100.0, class_weight="balanced", max_iter=500).fit(x[train], factor[train])
    if len(np.unique(factor[test])) < 2:
        return 0.0
    return max(0.0, float(balanced_accuracy_score(factor[test], model.predict(x[test]), adjusted=True)))


def _divided(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit to, and rows to judge by."""
    order = np.random.RandomState(0).permutation(count)
    held = max(1, int(count * HELD_OUT))
    return order[held:], order[:held]


def importance(codes: NDArray[np.float64], factors: NDArray[np.int64]) -> Importance:
    """By random forests that see the whole code; `right` is the share of held-out samples whose factor they find."""
    from sklearn.ensemble import RandomForestClassifier

    train, test = _divided(len(codes))
    of, right = np.zeros((codes.shape[1], factors.shape[1])), np.zeros(factors.shape[1])
    for place, factor in enumerate(factors.T):
        forest = RandomForestClassifier(TREES, max_features=None, min_samples_leaf=4, random_state=0).fit(codes[train], factor[train])
        of[:, place], right[place] = forest.feature_importances_, (forest.predict(codes[test]) == factor[test]).mean()
    return Importance(of, right)


def disentangled(of: NDArray[np.float64]) -> float:
    """DCI's disentanglement (Eastwood and Williams, 2018): how far each dimension serves one factor, weighed by what it matters; [d, f]."""
    weights = of.sum(1)
    return float((_purity(of) * weights).sum() / weights.sum()) if weights.sum() > 0 else 0.0


def complete(of: NDArray[np.float64]) -> float:
    """DCI's completeness: how far each factor is served by one dimension, weighed by what is known of it; [d, f]."""
    return disentangled(of.T)


def _purity(of: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 less the entropy of each row in units of the greatest there can be; a row of zeros, or of one place, has 1."""
    if of.shape[1] == 1:
        return np.ones(len(of))
    shares = of / np.maximum(of.sum(1, keepdims=True), 1e-300)
    return np.asarray(1 + np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-300)), 0.0).sum(1) / np.log(of.shape[1]))


def steadiest_dimension(codes: NDArray[np.float64], factors: NDArray[np.int64], votes: int, seed: int = 0) -> float:
    """The FactorVAE score (Kim and Mnih, 2018): how often the dimension that varies least tells which factor was held fixed.

    A vote takes samples that have one value of a factor in common and names the dimension whose variance is the smallest share of its usual
    one. A dimension stands for the factor that most of `votes` such votes give it; the accuracy is that on as many new ones. Dimensions
    that never vary have no say; 0 if none varies. Samples are drawn from those at hand, not anew.
    """
    usual = codes.var(0)
    alive = np.flatnonzero(usual > DEAD * max(float(usual.max()), 1e-300))
    if not len(alive):
        return 0.0
    scaled, draw = codes[:, alive] / np.sqrt(usual[alive]), np.random.RandomState(seed)
    alike = [[rows for value in np.unique(factor) if len(rows := np.flatnonzero(factor == value)) > 1] for factor in factors.T]
    fixed = [place for place, groups in enumerate(alike) if groups]

    def ballots() -> NDArray[np.int64]:
        counts = np.zeros((len(alive), factors.shape[1]), np.int64)
        for _ in range(votes):
            factor = fixed[draw.randint(len(fixed))]
            rows = alike[factor][draw.randint(len(alike[factor]))]
            counts[scaled[rows[draw.randint(0, len(rows), BATCH)]].var(0).argmin(), factor] += 1
        return counts

    stands_for = ballots().argmax(1) if fixed else np.zeros(len(alive), np.int64)
    return float(ballots()[np.arange(len(alive)), stands_for].sum() / votes) if fixed else 0.0
