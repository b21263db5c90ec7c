"""How well anomalies are told from ordinary samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, LinePlot, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.samples import DataInfo
    from aebuild.lang.splits import Split
    from aebuild.metrics.detection import Curve, Detection
    from aebuild.metrics.outliers import Score

MODEL = {"reconstruction": "the reconstruction's surprise or error", "latent": "surprise at the code",
         "mahalanobis": "residuals weighed by their usual covariance", "combined": "those three together",
         "signed": "errors summed with their sign", "prior": "surprise at the code under the model's own prior"}
SIMPLE = {"pca": "the error of principal components", "norm": "the length ‖x‖", "knn": "the distance to the nearest training samples",
          "forest": "an isolation forest"}
MOST_ROWS = 10_000          # training samples that simple scores are fitted to
MOST_VALUES = 1 << 25       # and numbers of them
COLUMNS = ("score", "ROC AUC", "low", "high", "AP", "low", "high", "threshold", "found", "alarms")


class Anomaly(Task):
    """Every anomaly score against labels: areas with their intervals, and what a threshold for so many false alarms finds.

    Beside the model's own scores stand four that need no model: the error of as many principal components, the length of a sample, the
    distance to the nearest training samples, and an isolation forest (Liu et al., 2008).
    """

    type: Literal["anomaly"] = "anomaly"
    scalar = "labels"
    meanings: ClassVar[dict[str, str]] = {
        **{f"{name}_auc": f"area under the ROC curve of {what}; higher is better"
           for name, what in (MODEL | SIMPLE).items()},
        **{f"{name}_ap": f"average precision of {what}; higher is better" for name, what in (MODEL | SIMPLE).items()},
        "anomalies": "share of anomalies, which is the average precision of a random score; neither is better",
        "found": "share of the anomalies above the threshold of the reconstruction's score; higher is better",
        "false_alarms": "share of the ordinary samples above it, to be held against the share that was asked for; lower is better"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 60, exclude: {label: 1}}
evaluate: {tasks: [anomaly: {neighbours: 3, false_alarms: 0.1}]}
---
data: {type: digits, limit: 60}
evaluate: {tasks: [anomaly: {labels: [1]}]}
"""
    labels: list[str | int] | None = knob(
        None, "classes that are anomalies, by name or number counted from 0 (default: labels that say so, like `anomaly`, else the classes "
        "that `data.exclude` keeps from training)", affects="evaluation", min_length=1)
    false_alarms: float = knob(0.01, "share of ordinary samples that the threshold is to call anomalies; it is found on held-back samples",
                               affects="evaluation", gt=0, lt=1)
    neighbours: int = knob(5, "which of the nearest training samples the distance is taken to", affects="evaluation", ge=1)

    def check(self, info: DataInfo) -> str | None:
        """Labels that tell the anomalies."""
        from aebuild.data.labels import class_word

        if not info.labelled:
            return "these data have no labels, so none of them are known to be anomalies"
        known = info.class_names
        strange = [each for each in self.labels or () if known is not None and class_word(each, known) not in known]
        return f"the data have no class {strange[0]!r}; the classes are {', '.join((known or ())[:20])}" if strange else None

    def evaluate(self, trained: Trained) -> Answer:
        """The areas and rates of all scores, their curves, and what is doubtful about them."""
        import numpy as np

        judged = _judged(trained, self._names(trained))
        simple = _simple(trained, self.neighbours)
        scores = _all(trained, simple, judged.split)
        held, source = _held_back(trained, judged.names)
        ordinary = _all(trained, simple, held)
        norms = np.concatenate([np.linalg.norm(part.astype(np.float64), axis=1) for part in judged.split.flat()])
        found, notes = _found(scores, judged.anomalous, norms)
        if not found:
            raise Unanswered("; ".join(notes))
        rows = {name: _row(name, each, scores[name], judged.anomalous, ordinary[name], self.false_alarms) for name, each in found.items()}
        figures = {"anomalies": float(judged.anomalous.mean())}
        if "reconstruction" in rows:
            figures |= {"found": float(rows["reconstruction"][8]), "false_alarms": float(rows["reconstruction"][9])}
        for name, each in found.items():
            figures |= {f"{name}_auc": each.roc_auc, f"{name}_ap": each.average_precision}
        table = Table(f"thresholds for a share of {self.false_alarms:.3g} false alarms, found on {source}", COLUMNS, tuple(rows.values()))
        return Answer(figures, (table, *_plots(scores, found, judged.anomalous)),
                      (*judged.notes, *_about(len(held), source, self.false_alarms), *notes))

    def _names(self, trained: Trained) -> set[str]:
        """The classes that are anomalies."""
        from aebuild.data.labels import class_word, usual_anomalies

        known = trained.splits.class_names
        names = {class_word(each, known) for each in self.labels or ()} or usual_anomalies(trained.plan.spec.data, known, known)
        strange = sorted(names - set(known))
        if self.labels and strange:
            raise Unanswered(f"the data have no class {strange[0]!r}; the classes are {', '.join(known[:20])}")
        if not names:
            raise Unanswered("no class is known to be an anomaly: name some with `labels`, or leave some out of training with "
                             f"`data.exclude`; the classes are {', '.join(known[:20])}")
        return names


@dataclass(frozen=True, eq=False)
class Judged:
    """Samples with a known label, which of them are anomalies [n], and the classes that mean one."""

    split: Split
    anomalous: NDArray[Any]
    names: set[str]
    notes: tuple[str, ...]


def _judged(trained: Trained, names: set[str]) -> Judged:
    """What can be judged by; `Unanswered` where it has no anomalies, or nothing else."""
    import numpy as np

    split, known = trained.judged, trained.splits.class_names
    if split.labels is None or not (split.labels >= 0).any():
        raise Unanswered("the samples that are judged have no labels")
    classes = [number for number, name in enumerate(known) if name in names]
    labelled = np.flatnonzero(split.labels >= 0)
    anomalous = np.isin(split.labels[labelled], classes)
    if anomalous.all() or not anomalous.any():
        raise Unanswered(f"{'all' if anomalous.all() else 'none'} of the {len(labelled):,} samples that are judged are anomalies "
                         f"({', '.join(sorted(names))}); some of both are needed")
    notes = [] if len(labelled) == len(split) else [f"{len(split) - len(labelled):,} samples without a known label are not judged"]
    seen = int(np.isin(trained.splits.train.labels, classes).sum())
    if seen:
        notes.append(f"{seen:,} training samples are labelled as such anomalies themselves, which makes them seem ordinary")
    return Judged(split if len(labelled) == len(split) else split.taken(labelled), anomalous, names, tuple(notes))


def _held_back(trained: Trained, names: set[str]) -> tuple[Split, str]:
    """Ordinary samples that training held back, else some that it saw, and what they are called; without labels all are taken to be so."""
    import numpy as np

    splits = trained.splits
    classes = [number for number, name in enumerate(splits.class_names) if name in names]
    for split, source in ((splits.held_back, "validation samples"), (splits.train, "training samples")):
        if split is None or split.labels is None or not len(split):
            continue
        rows = np.flatnonzero(~np.isin(split.labels, classes) & ((split.labels >= 0) | (split.labels < 0).all()))
        if len(rows):
            most = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(np.int64)
            return split.taken(rows[most]), source
    raise Unanswered("there are no ordinary samples to find a threshold on: all labels of training and validation are anomalies")


def _about(count: int, source: str, rate: float) -> Iterator[str]:
    """What a threshold that was found on so many samples does not tell."""
    if source == "training samples":
        yield "without validation samples to spare thresholds are found on training samples, which score lower than new ones"
    if rate * count < 1:
        yield f"{count:,} held-back samples cannot tell a share of {rate:g} false alarms: the thresholds are their largest scores"


def _simple(trained: Trained, neighbours: int) -> Mapping[str, Score]:
    """The scores that need no model, of numbers; fitted to some of the training samples."""
    import numpy as np

    from aebuild.metrics.outliers import components_of, simple_scores

    if isinstance(trained.plan.input, Tokens):
        return {}
    train, size = trained.splits.train, prod(trained.plan.input.shape)
    few = train.thinned(max(1, min(len(train), MOST_ROWS, MOST_VALUES // size)))
    rows = np.concatenate(list(few.flat()))
    return simple_scores(rows, components_of(trained.plan.latent.bits, len(rows), size), neighbours)


def _all(trained: Trained, simple: Mapping[str, Score], split: Split) -> dict[str, NDArray[Any]]:
    """The scores of a split by name, [n] each: those of the model, and the simple ones."""
    import numpy as np

    return {**trained.scores(split), **{name: np.concatenate([score(part) for part in split.flat()]) for name, score in simple.items()}}


def _found(scores: dict[str, NDArray[Any]], anomalous: NDArray[Any], norms: NDArray[Any]) -> tuple[dict[str, Detection], list[str]]:
    """How well each score does, and what is doubtful about it."""
    from aebuild.metrics.detection import detection, inverted, trivial

    found, notes = {}, []
    for name, values in scores.items():
        try:
            found[name] = detection(values, anomalous)
        except ValueError as reason:
            notes.append(f"the score {name} cannot be judged: {reason}")
            continue
        notes += [told for told in (trivial(name, values, norms) if name in MODEL else None, inverted(name, found[name])) if told]
    return found, notes


def _row(name: str, found: Detection, scores: NDArray[Any], anomalous: NDArray[Any], ordinary: NDArray[Any], rate: float
         ) -> tuple[str | float, ...]:
    from aebuild.metrics.detection import alarms, exceeded_at

    threshold = exceeded_at(ordinary, rate)
    return (name, found.roc_auc, *found.roc_auc_interval, found.average_precision, *found.average_precision_interval, threshold,
            *alarms(scores, anomalous, threshold))


def _plots(scores: dict[str, NDArray[Any]], found: dict[str, Detection], anomalous: NDArray[Any]) -> Iterator[LinePlot]:
    from aebuild.metrics.detection import curves

    drawn: dict[str, tuple[Curve, Curve]] = {name: curves(scores[name], anomalous) for name in found}
    for place, (title, x, y) in enumerate((("ROC", "share of false alarms", "share of anomalies found"),
                                           ("precision and recall", "recall", "precision"))):
        yield LinePlot(title, x, y, {name: both[place][:2] for name, both in drawn.items()},
                       {name: both[place][2] for name, both in drawn.items()}, "threshold")
