"""Anomaly detection by the specs of specs/anomaly beside PCA, ‖x‖, nearest neighbours, an isolation forest and PyOD's autoencoder.

python benchmarks/anomaly.py [--seeds N] [--out FOLDER] [name ...]

Needs the folders ecg5000, adbench and nab under AEBUILD_DATA, and pyod for its row. Labels are used to judge only: of tables by the area
under the ROC curve, of NAB's series by how many labelled windows hold an alarm at one expected false alarm a day.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import aebuild
from aebuild.data.new_samples import NewData
from aebuild.metrics.detection import detection
from aebuild.results.inference.codes import merged_windows
from aebuild.results.inference.thresholds import parse_rule, steps_a_day, threshold_of
from aebuild.results.open_run import OpenRun

SPECS = Path(__file__).parent.parent / "specs" / "anomaly"
TABLES = ("optdigits", "shuttle", "thyroid", "cardio", "ecg_dense", "ecg_lstm", "mnist_ones")
SERIES = {"nab_taxi": "realKnownCause/nyc_taxi.csv", "nab_machine": "realKnownCause/machine_temperature_system_failure.csv"}
MOST = 30_000               # rows beyond which only PCA and ‖x‖ stand beside
ANOMALIES = ("anomaly", "abnormal", "1")
RULE = "per-day=1"
Floats = NDArray[np.float64]
Method = Callable[[Floats], Floats]       # rows [n, D] to scores [n], or to errors of each element [n, D]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs") / "anomaly")
    parser.add_argument("names", nargs="*", default=[*TABLES, *SERIES])
    options = parser.parse_args()
    print("| data | score | ROC AUC [95 %], first seed | mean (range) of the seeds | average precision | said of the first seed |\n"
          "| --- | --- | --- | --- | --: | --- |", flush=True)
    for name in options.names:
        if name in TABLES:
            table(name, options.seeds, options.out)
    print("\n| data | score | windows found | false alarms | steps above outside | days |\n| --- | --- | --: | --: | --: | --: |")
    for name in options.names:
        if name in SERIES:
            series(name, options.out)


def trained(name: str, seed: int, out: Path, **data: Any) -> OpenRun:
    """A run of a shipped spec."""
    settings = [f"train.seed={seed}", *(f"data.{key}={value}" for key, value in data.items())]
    return aebuild.open_run(aebuild.train(SPECS / f"{name}.yaml", settings, folder=out / f"{name}-{seed}").run)


def methods(train: Floats, components: int) -> Iterator[tuple[str, Method]]:
    """What else scores rows, fitted to ordinary ones [n, D]."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors

    pca = PCA(components, random_state=0).fit(train)
    yield f"PCA, {components} numbers", lambda x: np.square(x - pca.inverse_transform(pca.transform(x)))
    yield "‖x‖", np.square
    if len(train) > MOST:
        return
    near = NearestNeighbors(n_neighbors=5).fit(train)
    yield "5th nearest neighbour", lambda x: near.kneighbors(x)[0][:, -1]
    forest = IsolationForest(random_state=0).fit(train)
    yield "isolation forest", lambda x: -forest.score_samples(x)
    try:
        from pyod.models.auto_encoder import AutoEncoder
    except ImportError:
        return
    network = AutoEncoder(random_state=0, verbose=0).fit(train)
    yield "PyOD AutoEncoder", lambda x: np.asarray(network.decision_function(x), np.float64)


def table(name: str, seeds: int, out: Path) -> None:
    """The rows of one table: our scores as means over seeds, the others once."""
    found: dict[str, list[Any]] = {}
    notes: dict[str, str] = {}
    for seed in range(42, 42 + seeds):
        run = trained(name, seed, out)
        test = run.own_split("test")
        scored = run.score(test, by=["all", "signed"])          # which labels are anomalies, it knows itself
        for score, each in scored.detection.items():
            found.setdefault(score, []).append(each)
            told = next((note for note in scored.notes if f"the score {score} " in note), "")
            notes.setdefault(score, "inverted" if "inverted" in told else "like ‖x‖, or constant" if told else "")
    for score, judged in found.items():
        areas = [100 * each.roc_auc for each in judged]
        low, high = (100 * bound for bound in judged[0].roc_auc_interval)
        row(name, score, f"{areas[0]:.2f} [{low:.2f}, {high:.2f}]", f"{np.mean(areas):.2f} ({min(areas):.2f} to {max(areas):.2f})",
            100 * np.mean([each.average_precision for each in judged]), notes[score])
    train, rows = flat(run.own_split("train")), flat(test)
    anomalous = np.asarray([word in ANOMALIES for word in test.words or ()])
    for method, score_of in methods(train, run.plan.latent.values):
        judged_once = detection(summed(score_of(rows)), anomalous)
        low, high = (100 * bound for bound in judged_once.roc_auc_interval)
        row(name, method, f"{100 * judged_once.roc_auc:.2f} [{low:.2f}, {high:.2f}]", "", 100 * judged_once.average_precision, "")


def row(name: str, score: str, area: str, spread: str, precision: float, note: str) -> None:
    print(f"| {name} | {score} | {area} | {spread} | {precision:.1f} | {note} |", flush=True)


def flat(data: NewData) -> Floats:
    """Scaled samples [n, D]."""
    return data.split.x.reshape(len(data), -1).astype(np.float64)


def summed(scores: Floats) -> Floats:
    return scores if scores.ndim == 1 else scores.sum(1)


def series(name: str, out: Path) -> None:
    """The rows of one series: alarms after the training's part of it."""
    root = Path(os.environ["AEBUILD_DATA"]) / "nab"
    path = root / SERIES[name]
    run = trained(name, 42, out, path=path, shape="null")
    whole, train, held = run.new(path), run.own_split("train"), run.own_split("validation")
    begin = int(run.own_split("test").split.windows.starts.min())
    times = [datetime.fromisoformat(cell) for cell in whole.beside["timestamp"]]
    labelled = json.loads((root / "labels" / "combined_windows.json").read_text())[SERIES[name]]
    spans = [tuple(datetime.fromisoformat(each) for each in span) for span in labelled]
    for score in ("reconstruction", "latent", "mahalanobis", "combined"):
        scored = run.score(whole, by=score, threshold=RULE)
        alarms(name, score, scored.anomaly, times, spans, begin)
    for method, score_of in methods(flat(train), run.plan.latent.values):
        steps = {part: stepped(score_of(flat(data)), data) for part, data in (("held", held), ("whole", whole))}
        ordinary = np.sort(steps["held"][np.isfinite(steps["held"])])
        limit, _ = threshold_of(parse_rule(RULE), ordinary, rows_a_day=steps_a_day(whole.beside))
        with np.errstate(invalid="ignore"):
            alarms(name, method, steps["whole"] > limit, times, spans, begin)


def stepped(scores: Floats, data: NewData) -> Floats:
    """Scores of windows [n] or of their elements [n, length] as scores of steps."""
    windows = data.split.windows
    assert windows is not None
    return merged_windows(windows, [scores if scores.ndim == 2 else np.repeat(scores[:, None], windows.length, 1)])


def alarms(name: str, score: str, above: NDArray[np.bool_], times: list[datetime], spans: list[tuple[datetime, ...]], begin: int) -> None:
    """One row: windows with an alarm, and alarms outside, of which those that follow each other within a day are one."""
    raised = [time for time, high in zip(times[begin:], above[begin:].tolist(), strict=True) if high]
    hit = sum(any(start <= time <= end for time in raised) for start, end in spans)
    outside = [time for time in raised if not any(start <= time <= end for start, end in spans)]
    events = sum(before is None or (time - before).days >= 1 for before, time in zip([None, *outside], outside, strict=False))
    days = (times[-1] - times[begin]).total_seconds() / 86_400
    print(f"| {name} | {score} | {hit} of {len(spans)} | {events} | {len(outside):,} | {days:.0f} |", flush=True)


if __name__ == "__main__":
    main()
