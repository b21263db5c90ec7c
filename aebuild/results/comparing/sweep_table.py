"""What a sweep has found, as one table: the best trial first, and which trials none betters for their price."""

from __future__ import annotations

from collections.abc import Sequence

from aebuild.lang.printable import clean
from aebuild.results.comparing.shown_table import Shown, Told
from aebuild.results.comparing.significance import CONFIDENCE, Interval
from aebuild.results.comparing.trial_figures import Point
from aebuild.trainer.progress.formatting import number


def sweep_table(points: Sequence[Point], objective: str) -> Shown:
    """A row for each trial with what was varied."""
    paths = list(dict.fromkeys(path for point in points for path in point.entry.record.values))
    columns = ("trial", *_short(paths), "parameters", "bits", "validation", "test", "error", "seeds", "none better for")
    rows = [(Told(clean(point.entry.record.name)), *(Told(_value(point.entry.record.values.get(path, ""))) for path in paths),
             Told(f"{point.entry.plan.params:,}"), Told(f"{point.entry.plan.latent.bits:,.0f}"),
             Told(_interval(point.objective), place == 0 and point.objective is not None), Told(_interval(point.reconstruction)),
             Told(_interval(point.error)), Told(str(len(point.entry.runs))), Told(_marks(point))) for place, point in enumerate(points)]
    below = [f"sorted by {objective} on the validation split; test is reconstruction there, error the squared one, or the share of wrong "
             "tokens", "none better for: no other trial has less error with as few bits of the code (bits), or parameters (size)"]
    if any(point.objective is not None and point.objective.half is not None for point in points):
        below.append(f"± half the {CONFIDENCE:.0%} interval of the mean over seeds (Student's t)")
    return Shown(f"{len(points)} trials", tuple(map(clean, columns)), tuple(rows), tuple(below))


def _short(paths: Sequence[str]) -> list[str]:
    """The last words of the paths, where they differ."""
    last = [path.rpartition(".")[2] for path in paths]
    return [word if last.count(word) == 1 and not word.isdecimal() else path for word, path in zip(last, paths, strict=True)]


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else clean(str(value))


def _interval(found: Interval | None) -> str:
    if found is None:
        return ""
    return number(found.mean) + ("" if found.half is None else f" ± {found.half:.2g}")


def _marks(point: Point) -> str:
    return ", ".join(name for name, best in (("bits", point.best_for_bits), ("size", point.best_for_parameters)) if best)
