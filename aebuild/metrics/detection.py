"""How well scores tell anomalies from the rest: ROC and precision-recall curves, their areas and intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1_000
Curve = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]       # x, y, and the score from which on all is called
DRAWN = 20_000_000       # samples of all resamples together at most


@dataclass(frozen=True)
class Detection:
    """Areas under both curves with their intervals, and how many anomalies there are among how many.

    `average_precision` is the area under the precision-recall curve as a sum of steps; a random score has the share of anomalies.
    """

    roc_auc: float
    roc_auc_interval: tuple[float, float]
    average_precision: float
    average_precision_interval: tuple[float, float]
    anomalies: int
    samples: int

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)


def detection(scores: NDArray[Any], anomalous: NDArray[np.bool_], confidence: float = 0.95, seed: int = 0) -> Detection:
    """Judges scores [n], higher for what is more unusual, against what is known to be anomalous [n].

    The interval of the ROC AUC is DeLong's (1988) on the logit scale, that of the average precision a stratified bootstrap's,
    corrected for its bias (Efron, 1981), since a sample that is drawn twice makes its rank look better than it is.
    ValueError unless both kinds are there and all scores are numbers.
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum()):,} of the {len(scores):,} scores are no numbers")
    positive, negative = scores[anomalous], scores[~anomalous]
    if not len(positive) or not len(negative):
        raise ValueError(f"all of the {len(scores):,} samples are {'anomalies' if len(positive) else 'ordinary'}; both kinds are needed")
    area, variance = delong(positive, negative)
    interval = _logit_interval(area, variance, confidence) if 0 < area < 1 and min(len(positive), len(negative)) > 1 else _pairs_interval(
        area, min(len(positive), len(negative)), confidence)
    precision, again = _average_precisions(positive, negative, seed)
    return Detection(area, interval, precision, _resampled_interval(precision, again, confidence), len(positive), len(scores))


def delong(positive: NDArray[Any], negative: NDArray[Any]) -> tuple[float, float]:
    """The area under the ROC curve and its variance (DeLong et al., 1988), by ranks (Sun and Xu, 2014)."""
    from scipy.stats import rankdata

    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    of_positive = (ranks[:m] - rankdata(positive)) / n               # share of negatives below each positive
    of_negative = 1 - (ranks[m:] - rankdata(negative)) / m           # share of positives above each negative
    area = float(of_positive.mean())
    variance = (of_positive.var(ddof=1) / m if m > 1 else 0.0) + (of_negative.var(ddof=1) / n if n > 1 else 0.0)
    return area, float(variance)


def _average_precisions(positive: NDArray[Any], negative: NDArray[Any], seed: int) -> tuple[float, NDArray[np.float64]]:
    """The average precision, and those of resamples of both kinds: scores are put in order once, a resample counts each of them."""
    from scipy.stats import rankdata

    m, n = len(positive), len(negative)
    draw = np.random.RandomState(seed)
    ranks = rankdata(np.concatenate([positive, negative]), "dense").astype(np.int64) - 1
    levels = int(ranks.max()) + 1

    def precision(of_positive: NDArray[np.int64], of_negative: NDArray[np.int64]) -> float:
        hits = np.bincount(of_positive, minlength=levels)[::-1]                  # from the highest score down
        found = hits.cumsum()
        called = found + np.bincount(of_negative, minlength=levels)[::-1].cumsum()
        return float((hits * found / np.maximum(called, 1)).sum() / m)

    drawn = max(RESAMPLES // 10, min(RESAMPLES, DRAWN // (m + n)))
    again = [precision(ranks[draw.randint(0, m, m)], ranks[m + draw.randint(0, n, n)]) for _ in range(drawn)]
    return precision(ranks[:m], ranks[m:]), np.asarray(again)


def _resampled_interval(value: float, again: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Quantiles of resamples, moved by how many of them lie below the value itself."""
    normal, count = NormalDist(), len(again)
    below = ((again < value).sum() + 0.5 * (again == value).sum() + 0.5) / (count + 1)
    bias, width = normal.inv_cdf(float(below)), normal.inv_cdf((1 + confidence) / 2)
    low, high = np.quantile(again, [normal.cdf(2 * bias - width), normal.cdf(2 * bias + width)]).tolist()
    return min(low, value), max(high, value)


def _pairs_interval(area: float, pairs: int, confidence: float) -> tuple[float, float]:
    """Where scores tell nothing of the area's spread: that of so many independent pairs (Clopper and Pearson, 1934)."""
    from scipy.stats import beta

    right, side = area * pairs, (1 - confidence) / 2
    low = 0.0 if right == 0 else float(beta.ppf(side, right, pairs - right + 1))
    return low, 1.0 if right == pairs else float(beta.ppf(1 - side, right + 1, pairs - right))


def _logit_interval(area: float, variance: float, confidence: float) -> tuple[float, float]:
    """Within (0, 1) at any area between."""
    middle, width = np.log(area / (1 - area)), NormalDist().inv_cdf((1 + confidence) / 2) * variance ** 0.5 / (area * (1 - area))
    low, high = (1 / (1 + np.exp(-(middle + sign * width))) for sign in (-1, 1))
    return float(low), float(high)


def curves(scores: NDArray[Any], anomalous: NDArray[np.bool_], points: int = 501) -> tuple[Curve, Curve]:
    """The ROC curve (share of false alarms, share of anomalies found) and that of precision over recall, of `points` points at most.

    The score of a point is the least that is called an anomaly there; infinity where none is.
    ValueError unless both kinds are there.
    """
    from scipy.stats import rankdata
    from sklearn.metrics import precision_recall_curve, roc_curve

    if not anomalous.any() or anomalous.all():
        raise ValueError("both anomalies and others are needed")
    order, ranked = rankdata(scores, "dense"), np.append(np.unique(scores).astype(np.float64), np.inf)

    def score_of(ranks: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(ranked[np.minimum(ranks, len(ranked)).astype(np.int64) - 1])

    false, true, begun = roc_curve(anomalous, order)               # of ranks it is the same, of infinite scores too
    precision, recall, at = precision_recall_curve(anomalous, order)
    return (_thinned(false, true, score_of(begun), points),
            _thinned(recall[::-1], precision[::-1], score_of(np.append(at, np.inf))[::-1], points))


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64], scores: NDArray[np.float64], points: int) -> Curve:
    """Some of the points, evenly spaced along the length of the curve, both ends among them."""
    if len(x) <= points:
        return x, y, scores
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    chosen = np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(0, len(x) - 1))
    return x[chosen], y[chosen], scores[chosen]


def exceeded_at(ordinary: NDArray[np.float64], rate: float) -> float:
    """The score that this share of ordinary scores [n] exceeds; the largest of them where they are too few to tell so small a rate."""
    return float(np.quantile(ordinary, 1 - rate, method="higher"))


def alarms(scores: NDArray[Any], anomalous: NDArray[np.bool_], threshold: float) -> tuple[float, float]:
    """The share of anomalies above a threshold, and that of the others; NaN where there are none."""
    above = scores > threshold
    return tuple(float(above[kind].mean()) if kind.any() else float("nan") for kind in (anomalous, ~anomalous))  # type: ignore[return-value]


def trivial(name: str, scores: NDArray[np.float64], norms: NDArray[np.float64]) -> str | None:
    """What is wrong with a score that says nothing of its own: it is constant, or orders samples as their length ‖x‖ does."""
    from scipy.stats import spearmanr

    if len(scores) < 3 or not np.isfinite(scores).all():
        return None
    if np.ptp(scores) <= 1e-12 * max(1.0, float(np.abs(scores).max())):
        return f"the score {name} is the same for all samples: it tells nothing"
    if np.ptp(norms) == 0:
        return None
    rank = float(spearmanr(scores, norms).statistic)
    if abs(rank) > 0.99:
        how = "as" if rank > 0 else "in the reverse order of what"
        return (f"the score {name} orders the samples {how} their length ‖x‖ does (rank correlation {rank:.3f}): the model adds nothing "
                "to it, so it may have collapsed")
    return None


def inverted(name: str, found: Detection) -> str | None:
    """What is to be said of a score that is lower for anomalies than for the rest, beyond doubt."""
    if found.roc_auc_interval[1] >= 0.5:
        return None
    return f"the score {name} is inverted on these data: anomalies score lower than the rest (ROC AUC {found.roc_auc:.3f})"
