"""The table of a profile: shares of a step by part, and the most expensive operators."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aebuild.trainer.progress.formatting import percents

OPERATORS = 10      # that the table names
STEP = "step"       # the mark of a whole step in the trace


@dataclass(frozen=True)
class Step:
    """What was profiled: how many steps, the seconds of each part over all, torch's events, and whether on a GPU."""

    count: int
    parts: dict[str, float]
    events: Iterable[Any]
    on_gpu: bool


def table(step: Step) -> str:
    """The mean step as text: its parts, then its operators by the time spent in themselves."""
    whole = sum(step.parts.values())
    lines = [f"profile of {step.count} step{'s' * (step.count > 1)}, {_milliseconds(whole / step.count)} ms each", "",
             f"{'part':<34}{'share':>6}{'ms a step':>12}"]
    shares = percents(step.parts)
    lines += [_row(name, shares.get(name, 0), seconds / step.count) for name, seconds in sorted(step.parts.items(), key=lambda p: -p[1])]
    lines += ["", f"{'operator' + ' on the GPU' * step.on_gpu:<34}{'share':>6}{'ms a step':>12}{'calls':>8}"]
    lines += [_row(name, 100 * seconds / whole, seconds / step.count) + f"{calls / step.count:>8,.0f}"
              for name, (seconds, calls) in _operators(step)[:OPERATORS]]
    return "\n".join(lines) + "\n"


def _row(name: str, percent: float, seconds: float) -> str:
    shown = name if len(name) <= 32 else f"{name[:31]}…"
    return f"{shown:<34}{percent:>4.0f} %{_milliseconds(seconds):>12}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.3f}"


def _operators(step: Step) -> list[tuple[str, tuple[float, int]]]:
    """Seconds spent in each operator itself, and its calls, inside the steps; the most expensive first."""
    events = list(step.events)
    steps = sorted((event.time_range.start, event.time_range.end) for event in events if event.name == STEP)
    starts = [start for start, _ in steps]
    found: dict[str, tuple[float, int]] = {}
    for event in events:
        at = bisect_right(starts, event.time_range.start) - 1
        if event.is_user_annotation or event.device_type.name != "CPU" or at < 0 or event.time_range.start > steps[at][1]:
            continue                    # a mark of ours, a kernel (its operator has its time), or validation between two steps
        spent = event.self_device_time_total if step.on_gpu else event.self_cpu_time_total
        seconds, calls = found.get(event.name, (0.0, 0))
        found[event.name] = (seconds + spent / 1e6, calls + 1)
    return sorted(found.items(), key=lambda item: -item[1][0])
