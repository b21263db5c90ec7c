"""What labels say of samples, or of the steps of series: which are known, and which of them are anomalies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aebuild.data.errors import fault
from aebuild.data.labels import called_anomalous, usual_anomalies
from aebuild.data.new_samples import STRANGE, NewData
from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Windows
    from aebuild.results.trained_run import TrainedRun

NO_SCORE = Rule("AE573", "there is no such score or label", """\
A score is chosen by name: `reconstruction`, `latent`, `mahalanobis`, `combined`, or `all` of these; `signed` by its name only. Which
labels are anomalies is said by their names.

```console
$ aebuild score runs/pump new.csv --by distance         # refused
$ aebuild score runs/pump new.csv --by mahalanobis
```
""")
YES, NO = ("1", "true", "yes"), ("0", "false", "no")        # of steps, whose labels are no classes


@dataclass(frozen=True)
class Truth:
    """Which samples or steps [n] have a label, and which of them are anomalies; `stepwise` says that they are steps."""

    known: NDArray[np.bool_]
    anomalous: NDArray[np.bool_]
    stepwise: bool = False

    def among(self, scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The scores [n] of those that are labelled and have one, and which of these are anomalies."""
        chosen = self.known & np.isfinite(scores)
        return scores[chosen], self.anomalous[chosen]


def truth_of(run: TrainedRun, data: NewData, wanted: Sequence[str] | None, *, stepwise: bool) -> Truth | None:
    """What the labels of data say; None where they name no anomaly.

    `wanted` are labels that mean one. Labels of steps judge steps, and of windows, where these are not merged, those that hold one.
    """
    if data.steps is not None and data.split.windows is not None:
        names = _names(run, data.steps, wanted, steps=True)
        if names is None:
            return None
        steps = _told(data.steps, names, stepwise=True)
        return steps if stepwise else _of_samples(steps, data.split.windows)
    if data.words is None:
        if wanted is not None:
            raise fault(STRANGE, "these data have no labels, so none of them are anomalies", "--set data.label=COLUMN")
        return None
    names = _names(run, data.words, wanted, steps=False)
    return None if names is None else _told(data.words, names, stepwise=False)


def _told(words: Sequence[str], names: Collection[str], *, stepwise: bool) -> Truth:
    return Truth(np.asarray([bool(word) for word in words]), np.asarray([word in names for word in words]), stepwise)


def _of_samples(steps: Truth, windows: Windows) -> Truth:
    """Of windows or whole series: an anomaly is one that holds a step that is one."""
    rows, there = windows.places(0, len(windows.starts))
    rows = np.minimum(rows, windows.rows - 1)                      # padding lies behind the last row, and is not there
    known: NDArray[np.bool_] = np.any(steps.known[rows] & there, axis=1)
    anomalous: NDArray[np.bool_] = np.any(steps.anomalous[rows] & there, axis=1)
    return Truth(known, anomalous)


def _names(run: TrainedRun, words: Sequence[str], wanted: Sequence[str] | None, *, steps: bool) -> Collection[str] | None:
    """The labels that mean an anomaly: those that are wanted, are called so, or that training never saw; of steps 1 beside 0."""
    there = set(words)
    if wanted is not None:
        absent = [word for word in wanted if word not in there]
        if absent:
            what = "step" if steps else "sample"
            raise UsageError(Diagnostic(NO_SCORE, f"no {what} has the label {absent[0]!r}; the labels are {', '.join(sorted(there)[:20])}"))
        return set(wanted)
    if steps and not called_anomalous(there) and {word.lower() for word in there} - {""} <= {*YES, *NO}:
        return {word for word in there if word.lower() in YES} or None
    return usual_anomalies(run.plan.spec.data, there, run.info.class_names or ()) or None
