"""New data scored: how unusual each sample or step is, which column is the most unusual one, and what lies above the threshold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.new_samples import NewData, paired
from aebuild.data.probe import plural
from aebuild.lang.columns import Field
from aebuild.lang.diagnostics import Diagnostic, UsageError
from aebuild.lang.regular_files import read_regular
from aebuild.lang.samples import silent
from aebuild.metrics.detection import Detection, detection, inverted, trivial
from aebuild.results.inference.codes import beside_samples, merged_windows
from aebuild.results.inference.passes import Progress, unseen
from aebuild.results.inference.row_files import row_file
from aebuild.results.inference.scorer import Scorer, Scores, joined, per_step, scorer_of, steps_of
from aebuild.results.inference.thresholds import ThresholdRule, given_value, parse_rule, steps_a_day, threshold_of
from aebuild.results.inference.truth import NO_SCORE, Truth, truth_of
from aebuild.trainer.run_dir.atomic_files import replace_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split
    from aebuild.results.trained_run import TrainedRun

FILE = "threshold.json"
USUAL = ThresholdRule("quantile", 0.99)


@dataclass(frozen=True)
class Threshold:
    """The value above which a score of these weights calls something unusual, and how it was found."""

    score: str
    level: str
    rule: str
    value: float
    weights: str

    def to_json(self) -> dict[str, Any]:
        """As threshold.json has it."""
        return asdict(self)


@dataclass
class Scored:
    """Scores of new data by name, [n], of samples, or of the steps of a series where samples are its windows.

    `anomaly` is what lies above the threshold of the first score. `parts` [n, columns] says how unusual each column is, in units of its
    usual variance, `unusual` names the most unusual one. NaN stands at steps that no window holds. `detection` is there where labels are.
    """

    level: str
    scores: dict[str, NDArray[np.float64]]
    anomaly: NDArray[np.bool_]
    threshold: Threshold
    parts: NDArray[np.float64] | None = None
    columns: tuple[str, ...] = ()
    detection: dict[str, Detection] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.anomaly)

    @property
    def unusual(self) -> list[str] | None:
        """The name of each row's most unusual column; "" where none is known."""
        if self.parts is None or not self.columns:
            return None
        known = np.isfinite(self.parts).all(1)
        best = np.where(known, np.nan_to_num(self.parts).argmax(1), -1)
        return [self.columns[place] if place >= 0 else "" for place in best.tolist()]

    def to_json(self) -> dict[str, Any]:
        """A summary as plain JSON types."""
        return {"level": self.level, "count": len(self), "unusual": int(self.anomaly.sum()), "threshold": self.threshold.to_json(),
                "detection": {name: found.to_json() for name, found in self.detection.items()}, "notes": list(self.notes)}


def score(run: TrainedRun, data: NewData, by: Sequence[str] = ("reconstruction",), *, threshold: str | float | None = None,
          anomalies: Sequence[str] | None = None, windows: bool = False, say: Callable[[str], None] = silent,
          progress: Progress = unseen) -> Scored:
    """Scores new data by the scores of these names, of which the first one decides what is called unusual.

    `threshold` is a rule like "per-sample=0.001", which the run keeps from then on, or a value; without it the run's, else
    "quantile=0.99". `anomalies` are labels that mean one. `windows` keeps windows as they are instead of merging them to steps.
    """
    paired(data)
    scorer = scorer_of(run, say, progress)
    score_names(scorer, by)          # before the work
    return told_scores(run, scorer, data, raw_scores(run, scorer, data.split, progress), by, threshold=threshold, anomalies=anomalies,
                       windows=windows)


def raw_scores(run: TrainedRun, scorer: Scorer, split: Split, progress: Progress = unseen) -> Scores:
    """All scores of each sample of a split, and of its columns where it has some."""
    return joined(scorer.batches(run, split, parts=bool(_columns(run)), progress=progress))


def told_scores(run: TrainedRun, scorer: Scorer, data: NewData, found: Scores, by: Sequence[str], *, threshold: str | float | None = None,
                anomalies: Sequence[str] | None = None, windows: bool = False) -> Scored:
    """What raw scores of data say, as `score` tells it."""
    names = score_names(scorer, by)
    stepwise = data.split.windows is not None and not windows
    truth = truth_of(run, data, anomalies, stepwise=stepwise)
    rows = {name: _merged(data, found, name) if stepwise else found.by_name[name] for name in names}
    notes = [said for name in names
             if (said := trivial(name, *per_step(name, found.by_name[name], found.norms, data.split.lengths))) is not None]
    judged, told = ({}, []) if truth is None else _judged(truth, rows if truth.stepwise else found.by_name, names)
    if judged and stepwise:
        notes.append("steps that follow each other are alike, so that the intervals, which take them for independent, are too narrow")
    notes += told
    limit, more = _threshold(run, scorer, names[0], "step" if stepwise else "sample", threshold, data, rows[names[0]],
                             None if truth is None or truth.stepwise != stepwise else truth)
    with np.errstate(invalid="ignore"):
        above = rows[names[0]] > limit.value
    missing = int(np.isnan(rows[names[0]]).sum())
    if missing:
        notes.append(f"{plural(missing, 'step')} {'is' if missing == 1 else 'are'} in no sample, without a score")
    if scorer.held_back == "training":
        notes.append("without validation samples the threshold was found on training samples, which score lower than new ones")
    return Scored("step" if stepwise else "sample", rows, above, limit, _parts(run, data, found, stepwise), _columns(run), judged,
                  (*notes, *more))


def detection_line(name: str, found: Detection) -> str:
    """How well a score tells anomalies, as a line for people."""
    (low, high), (below, above) = found.roc_auc_interval, found.average_precision_interval
    return (f"{name + ':':<16}ROC AUC {found.roc_auc:.4f} [{low:.4f}, {high:.4f}]   average precision {found.average_precision:.4f} "
            f"[{below:.4f}, {above:.4f}]   ({found.anomalies:,} anomalies of {found.samples:,}; 95 % intervals)")


def score_names(scorer: Scorer, by: Sequence[str]) -> tuple[str, ...]:
    """The scores of these names, each once; UsageError for one that this run does not have."""
    chosen = [name for each in by for name in (scorer.names if each == "all" else (each,))]
    there = ", ".join((*scorer.names, *scorer.on_request))
    if not chosen:
        raise UsageError(Diagnostic(NO_SCORE, f"no score is named; this run has {there}"))
    for name in chosen:
        if name not in (*scorer.names, *scorer.on_request):
            raise UsageError(Diagnostic(NO_SCORE, f"this run has no score {name!r}; it has {there}"))
    return tuple(dict.fromkeys(chosen))


def _judged(truth: Truth, scores: Mapping[str, NDArray[np.float64]], names: Sequence[str]) -> tuple[dict[str, Detection], list[str]]:
    """How well each score tells the known anomalies, and what is to be said of it; nothing unless there are both these and others."""
    judged: dict[str, Detection] = {}
    notes = []
    for name in names:
        held, anomalous = truth.among(scores[name])
        if not anomalous.any() or anomalous.all():
            continue
        try:
            judged[name] = detection(held, anomalous)
        except ValueError as reason:
            notes.append(f"the score {name} cannot be judged: {reason}")
            continue
        if (said := inverted(name, judged[name])) is not None:
            notes.append(said)
    return judged, notes


def _columns(run: TrainedRun) -> tuple[str, ...]:
    """The names of the target's columns; none of what has channels or symbols."""
    target = run.plan.target
    if not target.columns:
        return ()
    return run.info.target_columns or run.info.columns or tuple(map(str, range(target.features)))


def _merged(data: NewData, found: Scores, name: str) -> NDArray[np.float64]:
    """A score of each step of the series."""
    assert data.split.windows is not None
    steps = steps_of(found, name, found.by_name[name])
    if steps is None:
        steps = np.repeat(found.by_name[name][:, None], data.split.windows.length, 1)
    return merged_windows(data.split.windows, [steps])


def by_column(parts: NDArray[np.float64], fields: Sequence[Field]) -> NDArray[np.float64]:
    """Figures of features [..., W] as those of columns [..., C]: of a category that of its most unusual word."""
    columns = [each.features for each in fields if each.kind != "missing"]
    return np.stack([parts[..., features].max(-1) for features in columns], axis=-1) if columns else parts


def _parts(run: TrainedRun, data: NewData, found: Scores, stepwise: bool) -> NDArray[np.float64] | None:
    """How unusual each column is, [n, columns]: at the step, or over the whole sample."""
    if found.parts is None:
        return None
    told = by_column(found.parts.astype(np.float64), run.info.target_range.fields)
    if stepwise and data.split.windows is not None:
        return merged_windows(data.split.windows, [told])
    steps = told[:, None] if told.ndim == 2 else told.reshape(len(told), -1, told.shape[-1])
    real = steps.shape[1] if data.split.lengths is None else data.split.lengths[:, None]          # padding counts for nothing
    return np.asarray(steps.sum(1) / real)


def _threshold(run: TrainedRun, scorer: Scorer, name: str, level: str, asked: str | float | None, data: NewData,
               scores: NDArray[np.float64], truth: Truth | None) -> tuple[Threshold, tuple[str, ...]]:
    """What lies above is unusual."""
    if asked is not None and not isinstance(asked, str):
        return Threshold(name, level, "given", given_value(asked), run.kept), ()
    if asked is None:
        kept = read_threshold(run.run.folder)
        if kept is not None and (kept.score, kept.level, kept.weights) == (name, level, run.kept):
            return kept, ()
    rule = USUAL if asked is None else parse_rule(asked)
    ordinary = scorer.calibration[f"{name} steps" if level == "step" else name]
    scored, anomalous = (None, None) if truth is None else truth.among(scores)
    value, notes = threshold_of(rule, ordinary, rows_a_day=_rows_a_day(data, level), scored=scored, anomalous=anomalous)
    found = Threshold(name, level, str(rule), value, run.kept)
    if asked is not None:
        replace_json(run.run.folder / FILE, found.to_json())
    return found, notes


def _rows_a_day(data: NewData, level: str) -> float | None:
    """How many scores a day has: one a row, or of windows one each stride."""
    steps, windows = steps_a_day(data.beside), data.split.windows
    if steps is None or windows is None or level == "step" or len(windows.starts) < 2:
        return steps
    return steps / float(np.median(np.diff(windows.starts)))


def read_threshold(folder: Path) -> Threshold | None:
    """The threshold that a run keeps; None if there is none or it is not what was written."""
    try:
        told = json.loads(read_regular(folder / FILE, 2**16))
        return Threshold(str(told["score"]), str(told["level"]), str(told["rule"]), float(told["value"]), str(told["weights"]))
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return None


def write_scores(scored: Scored, data: NewData, place: Path) -> None:
    """A row a sample or step: what the input says of it, its scores, whether it is unusual and which column is the most unusual."""
    beside = {name: list(cells) for name, cells in data.beside.items()} if scored.level == "step" else beside_samples(data)
    with row_file(place, len(scored), beside) as file:
        columns: dict[str, NDArray[Any]] = dict(scored.scores)
        columns["anomaly"] = scored.anomaly.astype(np.int8)
        if (unusual := scored.unusual) is not None and scored.parts is not None:
            columns["unusual"] = np.asarray(unusual)
            columns |= {f"part:{name}": scored.parts[:, place] for place, name in enumerate(scored.columns)}
        file.add(**columns)
