"""Few shipped specs that between them hold every part that any of them holds."""

from __future__ import annotations

from functools import cache

from aebuild.compile.front import load
from aebuild.compile.plugins import within
from aebuild.results.shipped import shipped

QUIET = ("", "dataset", "task", "optimizer", "lr_schedule", "activation")         # families of parts on which a law does not look


LONG = "lstm_ae"          # a loop over 140 steps, which is recorded and counted step by step; short ones stand in the laws on conditions


@cache
def quick_covering() -> tuple[str, ...]:
    """The same without the one whose graph is longest."""
    return tuple(name for name in covering() if name != LONG)


@cache
def covering() -> tuple[str, ...]:
    """The names of the specs: always the one that has the most parts which those before it lack."""
    left = {name: _held(name) for name in shipped()}
    found: list[str] = []
    while left:
        name = max(left, key=lambda each: len(left[each]))
        seen = left.pop(name)
        if not seen:
            break
        found.append(name)
        left = {other: held - seen for other, held in left.items()}
    return tuple(found)


def _held(name: str) -> set[tuple[str, str]]:
    spec = load(shipped()[name]).spec
    assert spec is not None
    return {(part.family, str(part.variant_name())) for part in within(spec) if part.family not in QUIET}
