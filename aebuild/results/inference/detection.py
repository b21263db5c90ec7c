"""How well scores tell anomalies from the rest: ROC and precision-recall curves, their areas and intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1_000


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


def told(name: str, found: Detection) -> str:
    """A line for people."""
    (low, high), (below, above) = found.roc_auc_interval, found.average_precision_interval
    return (f"{name + ':':<16}ROC AUC {found.roc_auc:.4f} [{low:.4f}, {high:.4f}]   average precision {found.average_precision:.4f} "
            f"[{below:.4f}, {above:.4f}]   ({found.anomalies:,} anomalies of {found.samples:,}; 95 % intervals)")


def detection(scores: NDArray[Any], anomalous: NDArray[np.bool_], confidence: float = 0.95, seed: int = 0) -> Detection:
    """Judges scores [n], higher for what is more unusual, against what is known to be anomalous [n].

    The interval of the ROC AUC is DeLong's (1988) on the logit scale, that of the average precision a stratified bootstrap's.
    ValueError unless both kinds are there.
    """
    from sklearn.metrics import average_precision_score

    positive, negative = scores[anomalous], scores[~anomalous]
    if not len(positive) or not len(negative):
        raise ValueError("both anomalies and others are needed")
    area, variance = delong(positive, negative)
    draw = np.random.RandomState(seed)
    truth = np.concatenate([np.ones(len(positive), bool), np.zeros(len(negative), bool)])
    again = [average_precision_score(truth, np.concatenate([draw.choice(part, len(part)) for part in (positive, negative)]))
             for _ in range(RESAMPLES if len(scores) <= 20_000 else RESAMPLES // 10)]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(again, tails).tolist()
    return Detection(area, _logit_interval(area, variance, confidence), float(average_precision_score(anomalous, scores)), (low, high),
                     len(positive), len(scores))


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


def _logit_interval(area: float, variance: float, confidence: float) -> tuple[float, float]:
    """Within (0, 1) at any area; all of it where the area is 0 or 1 and tells nothing of its spread."""
    if not 0 < area < 1:
        return (0.0, 1.0) if variance == 0 else (area, area)
    middle, width = np.log(area / (1 - area)), NormalDist().inv_cdf((1 + confidence) / 2) * variance ** 0.5 / (area * (1 - area))
    low, high = (1 / (1 + np.exp(-(middle + sign * width))) for sign in (-1, 1))
    return float(low), float(high)
