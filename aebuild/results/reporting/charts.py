"""Plots as small pieces of SVG that take their colours from the page around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from aebuild.trainer.progress.formatting import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDE, HIGH = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 74, 12, 10, 42
HUES = 8                 # colours of the style sheet: --series-0 and on
MOST = 600               # points of a line that are drawn

Line = tuple["NDArray[Any]", "NDArray[Any]"]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within a range, about so many."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough)
    return [round(step * place, 12) for place in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


class Axes:
    """Where numbers lie on the paper."""

    def __init__(self, x: Sequence[NDArray[Any]], y: Sequence[NDArray[Any]]) -> None:
        self.x, self.y = _extent(x, 0.0), _extent(y, 0.05)
        self.whole = all(bool(np.all(np.asarray(part) == np.round(part))) for part in x)      # steps and units have nothing between them

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return round(LEFT + across * (WIDE - LEFT - RIGHT), 1), round(HIGH - BOTTOM - up * (HIGH - TOP - BOTTOM), 1)

    def frame(self, x_label: str, y_label: str) -> str:
        """Grid, numbers and names of both axes."""
        parts = []
        for value in ticks(*self.x):
            if self.whole and value != round(value):
                continue
            place = self.at(value, self.y[0])[0]
            parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="{TOP}" y2="{HIGH - BOTTOM}"/>'
                         f'<text x="{place}" y="{HIGH - BOTTOM + 15}" text-anchor="middle">{_told(value)}</text>')
        for value in ticks(*self.y):
            place = self.at(self.x[0], value)[1]
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{place}" y2="{place}"/>'
                         f'<text x="{LEFT - 6}" y="{place + 4}" text-anchor="end">{_told(value)}</text>')
        middle = (TOP + HIGH - BOTTOM) / 2
        parts.append(f'<text class="axis" x="{(LEFT + WIDE - RIGHT) / 2}" y="{HIGH - 6}" text-anchor="middle">{escape(x_label)}</text>'
                     f'<text class="axis" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
        return "".join(parts)


def _extent(parts: Sequence[NDArray[Any]], room: float) -> tuple[float, float]:
    values = np.concatenate([np.asarray(part, np.float64).ravel() for part in parts]) if parts else np.zeros(1)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    return low - room * (high - low), high + room * (high - low)


def _told(value: float) -> str:
    size = abs(value)
    return f"{value:g}" if size < 10_000 else f"{value / 1000:g}k" if size < 1e6 else f"{value:.2g}"


def line_plot(lines: Mapping[str, Line], x_label: str, y_label: str, told: str, dashed: Sequence[str] = ()) -> Markup:
    """Lines by name; `told` is what a screen reader says, `dashed` names those that are drawn so."""
    held = {name: _thinned(*line) for name, line in lines.items()}
    axes = Axes([x for x, _ in held.values()], [y for _, y in held.values()])
    drawn = []
    for place, (name, (x, y)) in enumerate(held.items()):
        known = [(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True) if isfinite(a) and isfinite(b)]
        points = " ".join("{},{}".format(*axes.at(a, b)) for a, b in known)
        style = f"--ink: var(--series-{place % HUES})"
        dash = ' stroke-dasharray="5 4"' if name in dashed else ""
        shape = f'<polyline points="{points}"{dash}/>' if len(known) != 1 else f'<circle r="4" {_centre(points)}/>'
        drawn.append(f'<g class="series" style="{style}" data-name="{escape(name)}">{shape}</g>')
    keys = "".join(f'<li style="--ink: var(--series-{place % HUES})"{" class=dashed" if name in dashed else ""}>{escape(name)}</li>'
                   for place, name in enumerate(held))
    legend = f'<ul class="legend">{keys}</ul>' if len(held) > 1 else ""
    return Markup(f'<div class="plot">{_svg(axes.frame(x_label, y_label) + "".join(drawn), told)}{legend}</div>')


def scatter_plot(points: NDArray[Any], labels: NDArray[Any] | None, names: Sequence[str], told: str, rows: NDArray[Any] | None = None,
                 ) -> Markup:
    """Points [n, 2], coloured by label; `rows` gives each the number of a thumbnail."""
    axes, drawn = Axes([points[:, 0]], [points[:, 1]]), []
    for place, (x, y) in enumerate(points.tolist()):
        if not (isfinite(x) and isfinite(y)):
            continue
        label = -1 if labels is None else int(labels[place])
        across, up = axes.at(x, y)
        row = "" if rows is None else f' data-row="{int(rows[place])}" data-place="{place}"'
        name = "" if label < 0 else f' data-label="{escape(names[label] if label < len(names) else str(label))}"'
        style = "" if label < 0 else f' style="--ink: var(--series-{label % HUES})"'
        shape = ' class="ring"' if label >= HUES else ""
        drawn.append(f'<circle r="3" cx="{across}" cy="{up}"{style}{shape}{row}{name}/>')
    present = [] if labels is None else sorted({int(each) for each in labels if each >= 0})
    keys = "".join(f'<li class="dot{" ring" if label >= HUES else ""}" style="--ink: var(--series-{label % HUES})">'
                   f"{escape(names[label] if label < len(names) else str(label))}</li>" for label in present)
    return Markup(f'<div class="plot scatter">{_svg("".join(drawn), told)}<ul class="legend">{keys}</ul></div>')


def marked_plot(points: Mapping[str, tuple[float, float]], x_label: str, y_label: str, told: str, front: Sequence[str] = ()) -> Markup:
    """Named points, as of a rate and an error; those of the `front`, which nothing beats in both, are joined."""
    axes = Axes([np.asarray([x for x, _ in points.values()])], [np.asarray([y for _, y in points.values()])])
    drawn = []
    if len(front) > 1:
        way = " ".join("{},{}".format(*axes.at(*points[name])) for name in sorted(front, key=lambda name: points[name]))
        drawn.append(f'<g class="series" style="--ink: var(--series-1)"><polyline points="{way}" stroke-dasharray="5 4"/></g>')
    for name, point in points.items():
        across, up = axes.at(*point)
        end = across > WIDE * 0.7
        hue, anchor, aside = (1 if name in front else 0), ("end" if end else "start"), (-7 if end else 7)
        drawn.append(f'<g class="named"><circle r="4" cx="{across}" cy="{up}" style="--ink: var(--series-{hue})">'
                     f'<title>{escape(name)}: {number(point[0])}, {number(point[1])}</title></circle>'
                     f'<text x="{across + aside}" y="{up - 5}" text-anchor="{anchor}">{escape(name)}</text></g>')
    return Markup(f'<div class="plot">{_svg(axes.frame(x_label, y_label) + "".join(drawn), told)}</div>')


def _centre(point: str) -> str:
    x, _, y = point.partition(",")
    return f'cx="{x}" cy="{y}"'


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> Line:
    if len(x) <= MOST:
        return np.asarray(x, np.float64), np.asarray(y, np.float64)
    index = np.linspace(0, len(x) - 1, MOST).round().astype(np.int64)
    return np.asarray(x, np.float64)[index], np.asarray(y, np.float64)[index]


def _svg(inside: str, told: str) -> str:
    return f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(told)}" preserveAspectRatio="xMidYMid meet">{inside}</svg>'
