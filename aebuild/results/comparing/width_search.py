"""A search over whole numbers that are scaled together, for a count that grows with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

QUANTA = (1, 2, 4, 8, 16, 32, 64)     # widths must often be multiples: of groups, of attention heads
LARGEST = 2.0 ** 12                   # factor
HALVINGS = 40
MOST_TRIES = 200                      # of single numbers, once the common factor is found
NEAR = 0.05                           # share by which a single number may leave its proportion to the others

Count = Callable[[Mapping[str, int]], "float | None"]
Found = tuple[float, dict[str, int]]


@dataclass(frozen=True)
class Aim:
    """A count to come near to; with `above` false, from below alone."""

    target: float
    above: bool = True

    def off(self, count: float) -> float:
        """How far a count is from it."""
        return abs(count - self.target) if self.above or count <= self.target else inf


def nearest(count: Count, numbers: Mapping[str, int], target: float, tolerance: float, above: bool = True) -> Found | None:
    """A count within this share of the target, else the nearest, and its numbers; None where no numbers give a count.

    All numbers are scaled by one factor and rounded to a multiple, by bisection; then numbers that began equal are moved together by
    single steps as long as that helps and they nearly keep their proportion. `count` gives None for numbers that cannot be built.
    With `above` false no count above the target is taken.
    """
    best: Found | None = None
    aim = Aim(target, above)
    refused = 0

    def counted(new: Mapping[str, int]) -> float | None:
        nonlocal refused
        value = count(new)
        refused += value is None
        return value

    for quantum in QUANTA if numbers else ():
        if quantum > max(numbers.values()):
            break
        found = _scaled(counted, numbers, aim, quantum)
        if found is not None:
            found = _refined(counted, numbers, (aim, tolerance / 4 * target), quantum, found)
            best = found if best is None else min(best, found, key=lambda each: aim.off(each[0]))
            if aim.off(best[0]) <= tolerance * target or not refused:          # multiples help only where others cannot be built
                break
    return best


def _scaled(count: Count, numbers: Mapping[str, int], aim: Aim, quantum: int) -> Found | None:
    """The better side of the factor at which the count passes the target; None where a factor on the way cannot be built."""
    tried: dict[float, Found | None] = {}
    target = aim.target

    def at(factor: float) -> Found | None:
        if factor not in tried:
            new = {path: max(quantum, round(number * factor / quantum) * quantum) for path, number in numbers.items()}
            value = count(new)
            tried[factor] = None if value is None else (value, new)
        return tried[factor]

    low, high = 1.0, 1.0
    while (found := at(high)) is not None and found[0] < target and high < LARGEST:
        low, high = high, 2 * high
    while (found := at(low)) is not None and found[0] > target and set(found[1].values()) != {quantum}:
        low, high = low / 2, low
    for _ in range(HALVINGS):
        below, above = at(low), at(high)
        if below is None or above is None or below[1] == above[1]:
            break
        middle = (low * high) ** 0.5
        between = at(middle)
        if between is None:
            break
        low, high = (middle, high) if between[0] < target else (low, middle)
    known = [found for found in tried.values() if found is not None and aim.off(found[0]) < inf]
    return min(known, key=lambda each: aim.off(each[0])) if known else None


def _refined(count: Count, numbers: Mapping[str, int], goal: tuple[Aim, float], quantum: int, found: Found) -> Found:
    """The same, until it is as near as the goal says, with single numbers moved; equal ones stay equal, as sums of layers need it."""
    aim, near = goal
    groups = [[path for path, number in numbers.items() if number == value] for value in sorted(set(numbers.values()))]
    scaled, tries, better = found[1], 0, True
    while better and tries < MOST_TRIES and aim.off(found[0]) > near:
        better = False
        for group in groups:
            for step in (quantum, -quantum):
                new = found[1] | {path: max(quantum, found[1][path] + step) for path in group}
                if any(abs(new[path] - scaled[path]) > max(quantum, NEAR * scaled[path]) for path in group):
                    continue
                value, tries = count(new), tries + 1
                if value is not None and aim.off(value) < aim.off(found[0]):
                    found, better = (value, new), True
    return found
