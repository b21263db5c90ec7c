"""Where the choices of a generated spec come from: Hypothesis in the tests, a seeded generator in the long runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Chooser(Protocol):
    """Makes the choices of a generator."""

    def whole(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""

    def chance(self, percent: int) -> bool:
        """True in about so many cases of a hundred."""


class Drawn:
    """Choices that Hypothesis makes, and shrinks towards the first option, the smallest number and False."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.draw(st.integers(0, len(options) - 1))]

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(0, 99)) >= 100 - percent


class Seeded:
    """Choices of a seeded random generator."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def whole(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def pick(self, options: Sequence[T]) -> T:
        return self.random.choice(options)

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent


def share(choose: Chooser, low: float = 0.05, high: float = 0.95) -> float:
    """A decimal number in [low, high] that reads the same as text."""
    return round(low + (high - low) * choose.whole(0, 20) / 20, 4)
