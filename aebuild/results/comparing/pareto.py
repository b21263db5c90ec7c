"""Which points no other point betters: what can be had for a price."""

from __future__ import annotations

from collections.abc import Sequence


def non_dominated(points: Sequence[Sequence[float]]) -> list[bool]:
    """For each point, all of whose numbers should be small, whether no other is as small in all and smaller in one."""
    order = sorted(range(len(points)), key=lambda place: tuple(points[place]))
    found = [False] * len(points)
    front: list[Sequence[float]] = []
    for place in order:                      # whoever dominates a point comes before it in this order
        if not any(_dominates(other, points[place]) for other in front):
            found[place] = True
            front.append(points[place])
    return found


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))
