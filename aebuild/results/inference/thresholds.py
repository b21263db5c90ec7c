"""From scores of ordinary samples to the score above which a sample is called unusual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError
from aebuild.metrics.detection import exceeded_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

BAD_RULE = Rule("AE572", "a threshold rule that cannot be followed", """\
A threshold is found from the scores of samples that training held back, or from labels:

- `quantile=0.99`: above 99 % of the held-back samples
- `per-sample=0.001`: one false alarm expected in a thousand samples
- `per-day=1`: one a day, of a series whose time stamps tell how many steps a day has
- `extreme=1e-4`: a false alarm in ten thousand, beyond what was seen, by a generalised Pareto distribution of the largest scores
- `best-f=1`: the best F-measure on the labels of the data that are scored (`best-f=2` weighs finding all twice as much)

```console
$ aebuild score runs/pump new.csv --threshold 99        # refused
$ aebuild score runs/pump new.csv --threshold quantile=0.99
```
""")
Name = Literal["quantile", "per-sample", "per-day", "extreme", "best-f"]
NAMES: tuple[Name, ...] = ("quantile", "per-sample", "per-day", "extreme", "best-f")
TAIL = 0.05            # share of the scores that the extreme-value distribution is fitted to
MOST_LOOKED_AT = 10_000
LEAST = 20             # of them at least


@dataclass(frozen=True)
class ThresholdRule:
    """A rule and its number."""

    name: Name
    number: float

    def __str__(self) -> str:
        return f"{self.name}={self.number:g}"


def parse_rule(text: str) -> ThresholdRule:
    """The rule that `name=number` means; UsageError for another."""
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    for known in NAMES:
        if known == name:
            limit = 1.0 if known in ("quantile", "per-sample", "extreme") else float("inf")
            if 0 < value < limit:
                return ThresholdRule(known, value)
            raise UsageError(Diagnostic(BAD_RULE, f"--threshold {text}: {name} takes a number above 0"
                                        + (" and below 1" if limit == 1 else "")))
    there = ", ".join(f"{known}=…" for known in NAMES)
    raise UsageError(Diagnostic(BAD_RULE, f"--threshold {text}: there is no such rule; there are {there}"))


def given_value(number: float) -> float:
    """A threshold that is given as a number; UsageError for one that nothing can be above or below."""
    if not np.isfinite(number):
        raise UsageError(Diagnostic(BAD_RULE, f"a threshold is a number or a rule, not {number:g}"))
    return float(number)


def threshold_of(rule: ThresholdRule, ordinary: NDArray[np.float64], *, rows_a_day: float | None = None,
                 scored: NDArray[np.float64] | None = None, anomalous: NDArray[np.bool_] | None = None) -> tuple[float, tuple[str, ...]]:
    """The threshold that a rule gives, and what should be said of it.

    `ordinary` are scores of samples that are taken to be ordinary, [n], of which a day has `rows_a_day`; `scored` and `anomalous` are those
    of labelled data.
    """
    match rule.name:
        case "quantile":
            return _quantile(ordinary, 1 - rule.number)
        case "per-sample":
            return _quantile(ordinary, rule.number)
        case "per-day":
            if rows_a_day is None:
                raise UsageError(Diagnostic(BAD_RULE, "per-day needs new data with a column of time stamps, and there is none in these",
                                            fix="--threshold per-sample=0.001"))
            return _quantile(ordinary, min(1.0, rule.number / rows_a_day))
        case "extreme":
            return extreme(ordinary, rule.number), ()
        case "best-f":
            if scored is None or anomalous is None or not anomalous.any() or anomalous.all():
                raise UsageError(Diagnostic(BAD_RULE, "best-f needs data with labels of anomalies and of others; --anomalies names which "
                                            "labels are anomalies", fix="--threshold quantile=0.99"))
            return best_f(scored, anomalous, rule.number), ("the threshold was chosen by the labels of these data, so what it finds here "
                                                            "is better than what it will find in others",)


def _quantile(ordinary: NDArray[np.float64], rate: float) -> tuple[float, tuple[str, ...]]:
    value = exceeded_at(ordinary, rate)
    if rate * len(ordinary) < 1:
        return value, (f"{len(ordinary):,} held-back scores cannot tell a rate of {rate:g}: the threshold is the largest of them "
                       "(`extreme=…` looks beyond)",)
    return value, ()


def extreme(ordinary: NDArray[np.float64], rate: float) -> float:
    """The score that ordinary samples exceed at this rate, by peaks over a threshold (Siffer et al., 2017).

    The largest twentieth of the scores is fitted by a generalised Pareto distribution.
    """
    from scipy.stats import genpareto

    ordered = np.sort(ordinary)
    count = min(len(ordered) - 1, max(LEAST, int(TAIL * len(ordered))))
    base, peaks = float(ordered[-count - 1]), ordered[-count:] - ordered[-count - 1]
    if count < 2 or not peaks.max() > 0:
        return float(ordered[-1])
    shape, _, scale = genpareto.fit(peaks, floc=0)
    beyond = rate * len(ordered) / count
    return float(np.quantile(ordered, 1 - rate)) if beyond >= 1 else base + float(genpareto.isf(beyond, shape, 0, scale))


def best_f(scores: NDArray[np.float64], anomalous: NDArray[np.bool_], beta: float) -> float:
    """The threshold with the best F-beta: halfway between two scores."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, at = precision_recall_curve(anomalous, scores)
    weighed = (1 + beta ** 2) * precision * recall / np.maximum(beta ** 2 * precision + recall, 1e-12)
    chosen = int(weighed[:-1].argmax())
    below = at[chosen - 1] if chosen else at[chosen]
    return float((at[chosen] + below) / 2) if below < at[chosen] else float(np.nextafter(at[chosen], -np.inf))


def steps_a_day(beside: Mapping[str, Sequence[str]]) -> float | None:
    """How many rows a day has, by the first column that holds dates or unix seconds; None where none does."""
    for cells in beside.values():
        times = _seconds(cells[:MOST_LOOKED_AT])
        if times is not None and len(times) > 1:
            steps = np.diff(times)
            steps = steps[steps > 0]
            if len(steps):
                return 86_400 / float(np.median(steps))
    return None


def _seconds(cells: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.asarray([datetime.fromisoformat(cell.strip()).timestamp() for cell in cells])
    except ValueError:
        pass
    try:
        numbers = np.asarray([float(cell) for cell in cells])
    except ValueError:
        return None
    return numbers if len(numbers) and numbers.min() > 3e8 and numbers.max() < 4e9 else None
