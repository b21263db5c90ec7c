"""What a sweep varies: a path of the spec, and the values or the range that it takes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError
from aebuild.lang.emit import emit
from aebuild.lang.source import read_value

BAD_VARY = Rule("AE616", "a variation that cannot be made", """
`--vary PATH=VALUES` names a value of the spec, with dots as `--set` does, and what it takes: values with commas between, or a range
`LOW..HIGH`, which is sampled; with `(log)` behind it in equal ratios. A grid takes values only, or a range with its number of points,
`1e-4..1e-2(log, 3)`. A range of whole numbers gives whole numbers.

```console
$ aebuild sweep vae --vary latent.dim=2..32                              # a grid of a range: how many points?
$ aebuild sweep vae --vary 'latent.dim=2..32(log, 5)'
$ aebuild sweep vae --vary latent.dim=2..32 --method random --trials 20
```
""")
MOST = 10_000              # trials of a sweep
BEYOND = 2 ** 63           # whole numbers from here on a spec cannot hold
_RANGE = re.compile(r"^\s*([^\s,/\"'()\[\]{}]+?)\.\.([^\s,/\"'()\[\]{}]+)\s*(\(.*)?$")          # what has a slash is a path
_HOW = re.compile(r"\(\s*(log)?\s*,?\s*(\d{1,9})?\s*\)\s*$")


@dataclass(frozen=True)
class Varied:
    """One path and its values: `choices`, or all between `low` and `high`; `points` are how many of these a grid takes."""

    path: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    points: int | None = None

    def grid(self) -> list[Any]:
        """The values of a grid, each once; UsageError for a range without a number of points."""
        if self.choices:
            return list(self.choices)
        if self.points is None:
            raise _refusal(f"a grid takes values, and {self.path} has a range without a number of points",
                           f"--vary '{self.path}={self.low}..{self.high}({'log, ' if self.log else ''}3)'")
        shares = [place / (self.points - 1) if self.points > 1 else 0.5 for place in range(self.points)]
        return list(dict.fromkeys(self.at(share) for share in shares))

    def at(self, share: float) -> Any:
        """The value at this share of the way, from 0 to 1."""
        if self.choices:
            return self.choices[min(len(self.choices) - 1, int(share * len(self.choices)))]
        value = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        return min(int(self.high), max(int(self.low), round(value))) if self.whole else min(self.high, max(self.low, value))


def parse_varied(written: str) -> Varied:
    """The variation that `PATH=VALUES` says; UsageError where it says none."""
    path, equals, values = written.partition("=")
    if not equals or not path.strip() or not values.strip():
        raise _refusal(f"{written!r} is not PATH=VALUES", "--vary latent.dim=2,8,32")
    found = _RANGE.match(values)
    if found is not None:
        return _range(path.strip(), found)
    value, wrong = read_value(f"[{values}]", f"--vary {path}")
    plain = value.plain() if value is not None and not wrong else None
    if not isinstance(plain, list) or not plain:
        raise _refusal(f"{values!r} are no values", "--vary latent.dim=2,8,32")
    unique = [each for place, each in enumerate(plain) if each not in plain[:place]]
    return Varied(path.strip(), tuple(unique))


def parse_all(written: Sequence[str]) -> list[Varied]:
    """All variations; UsageError where one is wrong or two have the same path."""
    found = [parse_varied(each) for each in written]
    twice = next((each.path for place, each in enumerate(found) if each.path in [other.path for other in found[:place]]), None)
    if twice is not None:
        raise _refusal(f"{twice} is varied twice", f"--vary {twice}=... once, with all values")
    return found


def _range(path: str, found: re.Match[str]) -> Varied:
    low, high = (_number(word) for word in found.group(1, 2))
    if low is None or high is None or not low < high:
        raise _refusal(f"{path}: {found[0].strip()!r} is no range of numbers that rises", f"--vary {path}=1..10")
    whole = isinstance(low, int) and isinstance(high, int)
    if whole and not (low >= -BEYOND and high < BEYOND):
        raise _refusal(f"{path}: {found[0].strip()!r} goes beyond the whole numbers of 64 bits", f"--vary {path}=1..10")
    how = _HOW.match(found[3] or "()")
    if how is None:
        raise _refusal(f"{path}: behind a range stand (log), the number of points (5), or both (log, 5), not {found[3]!r}",
                       f"--vary '{path}={low}..{high}{'(log, 5)' if low > 0 else '(5)'}'")
    log, points = bool(how[1]), None if how[2] is None else int(how[2])
    if log and low <= 0:
        raise _refusal(f"{path}: a range in equal ratios begins above zero, not at {low}",
                       f"--vary '{path}={high / 1000 if high > 0 else 0.001:g}..{high if high > 0 else 1}(log)'")
    if points is not None and not 1 <= points <= MOST:
        raise _refusal(f"{path}: a range has 1 to {MOST:,} points, not {points:,}", f"--vary '{path}={low}..{high}(5)'")
    return Varied(path, (), low, high, log, whole, points)


def _number(word: str) -> int | float | None:
    """The number that a word says; None for a word that is none, or is none that is finite."""
    try:
        number = float(word)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    try:
        return int(word)
    except ValueError:
        return number


def _refusal(message: str, fix: str) -> UsageError:
    return UsageError(Diagnostic(BAD_VARY, message, fix=fix))


def grid(varied: Sequence[Varied]) -> list[dict[str, Any]]:
    """Every combination, the last path changing fastest; UsageError where they are too many."""
    values = [each.grid() for each in varied]
    count = math.prod(map(len, values))
    if count > MOST:
        raise _refusal(f"the grid has {count:,} combinations, and a sweep at most {MOST:,}", "--method random --trials 100")
    return [dict(zip((each.path for each in varied), combination, strict=True)) for combination in product(*values)]


def drawn(varied: Sequence[Varied], number: int, seed: int) -> dict[str, Any]:
    """The values of a random trial, which depend on its number and the seed only."""
    import numpy as np

    shares = np.random.default_rng([seed, number]).random(len(varied))
    return {each.path: each.at(float(share)) for each, share in zip(varied, shares, strict=True)}


def settings_of(values: dict[str, Any]) -> list[str]:
    """Values as settings of a spec."""
    return [f"{path}={_written(value)}" for path, value in values.items()]


def _written(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, list | dict):
        import json

        return json.dumps(value)
    return emit({"x": value}).partition(":")[2].strip()
