"""Rate against distortion, and size against distortion: every trial as a point, those that none betters joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.results.comparing.trial_figures import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = ("front.svg", "front.png")
WANTED = "no plot of the front: it needs the package matplotlib, which is not installed; pip install matplotlib"


def draw_front(points: Sequence[Point], folder: Path) -> list[Path]:
    """Writes the plot as SVG and PNG; nothing, where matplotlib is not installed or no trial has an error."""
    from importlib.util import find_spec

    judged = [point for point in points if point.error is not None]
    if not judged or find_spec("matplotlib") is None:
        return []
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, judged, [point.entry.plan.latent.bits for point in judged], [point.best_for_bits for point in judged], "bits of the code")
    _panel(right, judged, [point.entry.plan.params for point in judged], [point.best_for_parameters for point in judged], "parameters")
    paths = [folder / name for name in NAMES]
    for path in paths:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def _panel(axes: Axes, points: Sequence[Point], prices: Sequence[float], best: Sequence[bool], told: str) -> None:
    errors = [point.error.mean for point in points if point.error is not None]
    axes.scatter(prices, errors, color="0.6", s=18, label="trials")
    front = sorted((price, error) for price, error, good in zip(prices, errors, best, strict=True) if good)
    axes.step([price for price, _ in front], [error for _, error in front], where="post", color="C0", marker="o", label="none better")
    _scale(axes.set_xscale, prices)
    _scale(axes.set_yscale, errors)
    axes.set_xlabel(told)
    axes.set_ylabel("test error")
    axes.legend(frameon=False)


def _scale(change: Any, values: Sequence[float]) -> None:
    """Logarithmic where the values stretch over more than a factor of ten."""
    if min(values) > 0 and max(values) > 10 * min(values):
        change("log")
