"""Data measured, the families weighed for a goal, and the spec of the one that fits best."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aebuild.lang.printable import clean
from aebuild.results.advising.candidates import WEIGHTS, Candidate, Goal
from aebuild.results.advising.family_grades import bakeoff, record
from aebuild.results.advising.init_spec import Written, write
from aebuild.results.advising.sample_statistics import SampleStatistics

WIDTH = 110
SHARES = (0.8, 0.9, 0.95)            # of the variance, for which principal components are told
COLUMNS = ("reconstruction", "compute", "stability", "control", "generation")


def advise(data: str, goal: Goal | None = None, folder: Path = Path(), say: Callable[[str], None] = lambda message: None) -> Written:
    """Looks at data, a path from here or the name of a known data set, and weighs all families; the spec lies in `folder`.

    DataError where the data cannot be read, nothing can be learned from them, or no family serves the goal.
    """
    return write(data, goal, folder, say, verb="advise")


def to_json(written: Written) -> dict[str, Any]:
    """What was measured, recommended and rejected, the figures behind it, and the spec, as plain JSON types."""
    chosen = written.choice.chosen
    return {"goal": written.goal, "detected": written.seen.detected, "measured": measured(written.seen.statistics),
            "recommended": {"family": chosen.family.word, "network": chosen.network.word, "title": chosen.family.title,
                            "reasons": written.choice.reasons},
            "weights": WEIGHTS[written.goal].to_json(),
            "candidates": [each.to_json(rank) for rank, each in enumerate(written.choice.candidates, 1)],
            "evidence": {name: {key: value for key, value in table.items() if key != "families"} for name, table in record().items()}
            | {"bakeoff": bakeoff()},
            "spec": written.text}


def measured(seen: SampleStatistics) -> dict[str, Any]:
    """The figures of the samples by name; None where data of this kind have none."""
    return {"kind": seen.value.kind, "shape": list(seen.value.shape), "numbers": seen.size, "samples": seen.samples,
            "looked_at": seen.looked_at,
            "intrinsic_dimension": {"two_nn": _short(seen.two_nn), "levina_bickel": _short(seen.levina_bickel)},
            "principal_components": {f"{share:g}": seen.components(share) for share in SHARES} if seen.spectrum else None,
            "neighbour_correlation": _short(seen.local), "different_values": seen.kinds, "binary": seen.binary,
            "two_valued": _short(seen.two_valued), "missing": _short(seen.missing),
            "lengths": None if seen.lengths is None else dict(zip(("shortest", "median", "longest"), seen.lengths, strict=True)),
            "labels": dict(seen.classes), "range": [seen.bounds.low, seen.bounds.high]}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def report(written: Written) -> str:
    """The advice for people: figures, the recommendation with its trade-off, and the table of all candidates."""
    chosen = written.choice.chosen
    on = "" if chosen.network is chosen.family else f", on {chosen.network.title}"
    lines = [clean(written.seen.detected), "", "measured", *(f"  {name:<22} {told}" for name, told in _told(written.seen.statistics)), "",
             f"recommended for {written.goal}: {chosen.family.title}{on}", *_wrapped(chosen.family.trade), *_wrapped(*chosen.reasons),
             *_wrapped(f"shown by `aebuild specs {chosen.family.spec}`; {chosen.family.source}"), "", *_table(written), "", *_footnotes()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _told(seen: SampleStatistics) -> Iterator[tuple[str, str]]:
    yield "samples", f"{seen.samples:,} to train, {seen.looked_at:,} looked at, each {seen.value}: {seen.size:,} numbers"
    if seen.intrinsic is not None:
        both = [f"{found:.1f} ({name})" for found, name in ((seen.two_nn, "TwoNN"), (seen.levina_bickel, "Levina and Bickel")) if found]
        yield "intrinsic dimension", " and ".join(both)
    if seen.spectrum:
        kept = ", ".join(f"{seen.components(share)} keep {100 * share:.0f} %" for share in SHARES)
        yield "principal components", f"{kept} of the variance"
    if seen.local is not None:
        yield "neighbours correlate", f"by {seen.local:.2f}"
    yield "values", f"{seen.kinds:,} different ones" + (", nothing but 0 and 1" if seen.binary else
                                                         f", {100 * seen.two_valued:.0f} % near the ends" if seen.two_valued else "")
    if seen.missing:
        yield "missing", f"{100 * seen.missing:.1f} % of the values"
    if seen.lengths is not None:
        yield "lengths", f"{seen.lengths[0]} to {seen.lengths[2]}, half of them up to {seen.lengths[1]}"
    if seen.classes:
        named = ", ".join(f"{name} {count:,}" for name, count in seen.classes[:8])
        yield "labels", clean(named) + (", ..." if len(seen.classes) > 8 else "")


def _wrapped(*sentences: str) -> list[str]:
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="    ")]


def _table(written: Written) -> Iterator[str]:
    """The ranking: each grade from 1 to 5, then what spoke for and against; what cannot serve stands below."""
    yield f"{'rank':<6}{'family':<13}{'score':>6}  " + "  ".join(f"{name:>{len(name)}}" for name in COLUMNS)
    for rank, each in enumerate(written.choice.candidates, 1):
        grades = each.family.grades.to_json()
        score, place = ("  left", "-") if each.rejected else (f"{each.score:6.2f}", str(rank))
        yield f"{place:<6}{each.family.word:<13}{score}  " + "  ".join(f"{grades[name]:>{len(name)}}" for name in COLUMNS)
        yield from _wrapped(*([f"cannot serve: {each.rejected}"] if each.rejected else _spoken(each)))


def _spoken(each: Candidate) -> list[str]:
    return [*each.reasons, each.family.trade, each.family.evidence]


def _footnotes() -> list[str]:
    """Where the grades are from."""
    measured_by = "; ".join(f"`{table['command']}` ({table['date']})" for table in record().values())
    return _wrapped("Grades from 1 to 5 (best) follow from figures that all came to alike on MNIST and Fashion-MNIST: networks with a "
                    f"plain code, kinds of code on one network: {measured_by}. A network's score is the mean of its grades by what the "
                    "goal asks for, with what the data add; that of a kind of code is its network's, with what it has beyond a plain "
                    "code.")


def text_of(advice: dict[str, Any]) -> str:
    """The JSON as text."""
    return json.dumps(advice, indent=1, ensure_ascii=False)
