"""Did you mean: the known word that a misspelt one was likely meant to be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

_LONGEST = 64                        # nobody misspells a word of more letters, and the distance is quadratic
MOST = 300_000                       # words compared in one check of a spec: some hundreds of misspelt words, far more than are shown
_left: ContextVar[list[int] | None] = ContextVar("_left", default=None)


@contextmanager
def bounded_guesses() -> Iterator[None]:
    """Within it proposals end after `MOST` comparisons, so that a spec of ten thousand wrong words costs no more than one of a thousand."""
    token = _left.set([MOST])
    try:
        yield
    finally:
        _left.reset(token)


def guessing() -> bool:
    """True while there is something left to compare."""
    left = _left.get()
    return left is None or left[0] > 0


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one, or None where a guess would be nonsense.

    Equal but for case, `-` and `_` comes first; then the fewest slips of the hand (a letter too many, missing, wrong, or
    two swapped; at most one in three letters); then the only word that shares all its parts, as `kernel_size` does with
    `kernel` and `batch` with `batch_size`. Ties go to the word listed first.
    """
    if not word or len(word) > _LONGEST or not guessing():
        return None
    mine = bare(word)
    best: tuple[int, str] | None = None
    choices = [name for name in known if name and len(name) <= _LONGEST]
    if (left := _left.get()) is not None:
        left[0] -= len(choices)
    for name in choices:
        other = bare(name)
        allowed = min(3, max(len(mine), len(other)) // 3)
        if len(_letters(mine) ^ _letters(other)) > 2 * allowed:          # a slip brings or takes at most two letters
            continue
        slips = 0 if other == mine and mine else distance(mine, other, allowed)
        if slips <= allowed and (best is None or slips < best[0]):
            best = (slips, name)
    return best[1] if best is not None else _by_parts(word, choices)


def distance(left: str, right: str, limit: int) -> int:
    """Slips between two words (Damerau 1964, restricted), or more than `limit` if there are more.

    A slip is one letter inserted, left out or replaced, or two neighbours swapped.
    """
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]


@lru_cache(4096)
def bare(word: str) -> str:
    """The word in small letters, without `-`, `_` and blanks."""
    return re.sub(r"[-_\s]", "", word.casefold())


@lru_cache(4096)
def _letters(word: str) -> frozenset[str]:
    return frozenset(word)


@lru_cache(4096)
def _parts(word: str) -> frozenset[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word)
    return frozenset(part for part in re.split(r"[^a-z0-9]+", spaced.casefold()) if part)


def _by_parts(word: str, choices: list[str]) -> str | None:
    mine = _parts(word)
    if not mine:
        return None
    alike = []
    for name in choices:
        theirs = _parts(name)
        shared = mine & theirs
        if theirs and shared in (mine, theirs) and any(len(part) >= 3 for part in shared):
            alike.append(name)
    return alike[0] if len(alike) == 1 else None
