"""How the families of autoencoders did when all were trained alike, as figures and as grades from 1 to 5.

Networks were compared with a plain code, kinds of code on one network. The figures stand in measured_families.json, which
benchmarks/families.py writes, and those of the published bake-off, repeated, in bakeoff_figures.json; nothing else holds them. Grades
follow from the first by the steps below, 5 is best.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_name("measured_families.json")
BAKEOFF = Path(__file__).with_name("bakeoff_figures.json")
# a grade for each figure: up to the first limit 5, up to the second 4, ..., above the last 1
ERROR_LIMITS = (1.1, 1.4, 2.0, 3.0)           # squared error as a multiple of the best family's
COST_LIMITS = (1.0, 3.0, 10.0, 30.0)          # operations of a training step and sample, in millions
SPREAD_LIMITS = (0.01, 0.03, 0.10, 0.30)      # how far the errors of the seeds lie apart, as a share of their mean
GAP_LIMITS = (0.1, 0.2, 0.3, 0.4)             # distance of the codes from what was said of them beforehand, 0 to 1
UNLIKE_LIMITS = (0.3, 0.45, 0.6, 0.75)        # one less the harmonic mean of precision and recall of samples


@dataclass(frozen=True)
class Figures:
    """What a family came to, means over the data sets: the squared error is a multiple of the best one's in its table.

    `cost` are millions of operations of a training step for each sample, as matrix products and convolutions; `spread` is that of the
    error over seeds, `gap` the distance of codes from the prior (Kolmogorov-Smirnov, of indices total variation), `likeness` the harmonic
    mean of precision and recall of samples (Kynkäänniemi et al., 2019), 0 to 1 and best at 1.
    """

    error: float
    cost: float
    spread: float
    gap: float
    likeness: float

    def to_json(self) -> dict[str, float]:
        """By name, to three digits."""
        return {name: float(f"{value:.3g}") for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Grades:
    """From 1 to 5 each, 5 is best: reconstruction, cheapness of a step, alikeness of seeds, how far codes are known beforehand, samples."""

    reconstruction: int
    compute: int
    stability: int
    control: int
    generation: int

    def to_json(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


@cache
def record() -> dict[str, dict[str, Any]]:
    """The tables `networks` and `codes` as the benchmark wrote them: figures by family and data set, command, date, machine, seeds."""
    found: dict[str, dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


@cache
def bakeoff() -> dict[str, Any]:
    """The figures of specs/bakeoff by name, with their command, date and seeds, as docs/results.md has them."""
    found: dict[str, Any] = json.loads(BAKEOFF.read_text(encoding="utf-8"))
    return found


@cache
def figures_of(family: str) -> Figures:
    """The figures of a family, or of the `plain` code that kinds of code are compared with, by the best error of its table."""
    families = next(table["families"] for table in record().values() if family in table["families"])
    sets = families[family]

    def mean(key: str) -> float:
        return float(sum(each[key] for each in sets.values()) / len(sets))

    def relative(key: str) -> float:
        return float(sum(each[key] / min(other[data][key] for other in families.values()) for data, each in sets.items()) / len(sets))

    return Figures(relative("mse"), mean("megaflop"), mean("spread"), mean("code_gap"), mean("likeness"))


def grades_of(family: str) -> Grades:
    """The grades of a family."""
    found = figures_of(family)
    return Grades(grade(found.error, ERROR_LIMITS), grade(found.cost, COST_LIMITS), grade(found.spread, SPREAD_LIMITS),
                  grade(found.gap, GAP_LIMITS), grade(1 - found.likeness, UNLIKE_LIMITS))


def grade(figure: float, limits: tuple[float, ...]) -> int:
    """5 up to the first limit, one less for each that is passed."""
    return 5 - sum(figure > limit for limit in limits)
