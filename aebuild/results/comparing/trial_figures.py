"""What a trial is judged by, and what stands beside it: never the test split, which is for the last word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from aebuild.results.comparing.bakeoff import Entry, Results
from aebuild.results.comparing.pareto import non_dominated
from aebuild.results.comparing.significance import Interval, interval
from aebuild.trainer.run_dir.run import Run


def objective_of(folder: Path, name: str) -> float | None:
    """A validation figure of a run at the weights that it keeps: `score`, or the mean of a loss term; None where there is none."""
    records = [record for record in Run.open(folder).journal.read() if record.get("split") == "validation"]
    kept = [record for record in records if record.get("best")] or records
    if not kept:
        return None
    value = kept[-1].get("score") if name == "score" else kept[-1].get("terms", {}).get(name)
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


@dataclass(frozen=True)
class Point:
    """A trial among the others: what it costs, its error, and for which price no other trial has less error.

    `objective` is the validation figure over seeds, `error` the test error: squared, of tokens the share that is wrong.
    """

    entry: Entry
    objective: Interval | None
    error: Interval | None
    reconstruction: Interval | None
    best_for_bits: bool = False
    best_for_parameters: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        plan = self.entry.plan
        told = {name: None if each is None else {"mean": each.mean, "half": each.half, "count": each.count}
                for name, each in (("objective", self.objective), ("error", self.error), ("reconstruction", self.reconstruction))}
        return {"name": self.entry.record.name, "values": self.entry.record.values, "code_bits": plan.latent.bits,
                "parameters": plan.params, **told, "pareto": {"code_bits": self.best_for_bits, "parameters": self.best_for_parameters}}


def points_of(results: Results, objective: str) -> list[Point]:
    """Every trial that has a finished run, the best by the objective first."""
    found = [_point(entry, objective) for entry in results.entries.values() if entry.runs]
    judged = [point for point in found if point.error is not None]
    bits = _best(judged, [point.entry.plan.latent.bits for point in judged])
    sizes = _best(judged, [float(point.entry.plan.params) for point in judged])
    marked = [Point(point.entry, point.objective, point.error, point.reconstruction, point in bits, point in sizes) for point in found]
    return sorted(marked, key=lambda point: point.objective.mean if point.objective is not None else float("inf"))


def _best(points: Sequence[Point], prices: Sequence[float]) -> list[Point]:
    front = non_dominated([(price, point.error.mean) for price, point in zip(prices, points, strict=True) if point.error is not None])
    return [point for point, best in zip(points, front, strict=True) if best]


def _point(entry: Entry, objective: str) -> Point:
    runs = [facts for facts in entry.runs.values() if facts.evaluation is not None]
    models = [facts.evaluation.model for facts in runs if facts.evaluation is not None]
    errors = [model.mse if model.mse is not None else None if model.accuracy is None else 1 - model.accuracy for model in models]
    return Point(entry, _over([objective_of(facts.folder, objective) for facts in runs]), _over(errors),
                 _over([facts.reconstruction for facts in runs]))


def _over(values: Sequence[float | None]) -> Interval | None:
    known = [value for value in values if value is not None and isfinite(value)]
    return interval(known) if known else None
