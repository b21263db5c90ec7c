"""What an unquoted word of a spec is: a number, a truth value, nothing, or text."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isinf

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.printable import quote

Scalar = None | bool | int | float | str

DOUBTFUL = Rule("AE030", "a number that YAML readers disagree about", """\
`010` is eight to YAML 1.1 and ten to YAML 1.2; `1_000` and `0b11` are numbers to the one and text to the other. A spec must mean
the same to everybody who reads it, so such a word is refused instead of guessed at. `0x1F` and `0o17` are read as YAML 1.2
has them: 31 and 15.

```yaml
train: {epochs: 0100, batch_size: 1_000}
```

Write the plain decimal number, or quotes where it is text (`name: "007"`):

```yaml
train: {epochs: 100, batch_size: 1000}
```
""")

NOT_FINITE = Rule("AE031", "infinity and NaN are not numbers of a spec", """\
Every number in a spec is used in computations that must stay finite: an infinite weight or a NaN threshold makes the whole loss
NaN at the first step. Where a bound should not bind, leave its key out or write `null`.

```yaml
train: {clip: .inf}
```

```yaml
train: {clip: null}
```
""")

OUT_OF_RANGE = Rule("AE032", "a number that a computer word cannot hold", """\
Whole numbers must fit 64 bits (up to 9,223,372,036,854,775,807 either way), others a double: about 1.8e308 is the largest,
4.9e-324 the smallest. Beyond that a number would silently become infinite or zero.

```yaml
train: {seed: 123456789012345678901234567890, optimizer: {type: adam, lr: 1e-999}}
```

```yaml
train: {seed: 1234567890, optimizer: {type: adam, lr: 1e-3}}
```
""")

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_STARTS = frozenset("0123456789+-.~nNtTfF")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*+)")
_BASED = re.compile(r"0o[0-7]++|0x[0-9a-fA-F]++")
_REAL = re.compile(r"[-+]?(?:\.[0-9]++|[0-9]++(?:\.[0-9]*+)?)(?:[eE][-+]?[0-9]++)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_ODD = re.compile(r"[-+]?(?:0[0-9]++|0[bB][01_]++|0[oO][0-7_]++|0[xX][0-9a-fA-F_]++"
                  r"|(?=[^_]*_)[0-9][0-9_]*+(?:\.[0-9_]*+)?(?:[eE][-+]?[0-9]++)?)")

Doubt = tuple[Rule, str, str | None]


@lru_cache(4096)          # the same words stand in a spec again and again
def resolve(text: str) -> tuple[Scalar, Doubt | None]:
    """The value of an unquoted scalar, and (rule, message, fix) where it has none.

    YAML 1.2's core schema: `yes`, `on`, `12:30` and dates are text, `1e-3`, `.5` and `5.` numbers. Departures: what YAML 1.1
    and 1.2 read differently as a number, infinity, NaN, and what 64 bits cannot hold are doubts, with None as the value.
    """
    if text in _NOTHING:
        return None, None
    if text[0] not in _STARTS:
        return text, None
    if text in _TRUTH:
        return _TRUTH[text], None
    if _WHOLE.fullmatch(text):
        return _whole(text, 10)
    if _BASED.fullmatch(text):
        return _whole(text, 8 if text[1] == "o" else 16)
    if _ODD.fullmatch(text):
        return None, (DOUBTFUL, f"{quote(text)} is not the same number to all YAML readers", _plainly(text))
    if _REAL.fullmatch(text):
        return _real(text)
    if _INFINITE.fullmatch(text):
        return None, (NOT_FINITE, f"{quote(text)} is not a finite number", None)
    return text, None


def _whole(text: str, base: int) -> tuple[Scalar, Doubt | None]:
    if len(text) <= 70:
        value = int(text, base)
        if -2**63 <= value < 2**63:
            return value, None
    return None, (OUT_OF_RANGE, f"{quote(text, 40)} does not fit in 64 bits", None)


def _real(text: str) -> tuple[Scalar, Doubt | None]:
    value = float(text)
    if isinf(value):
        return None, (OUT_OF_RANGE, f"{quote(text, 40)} is larger than any number that can be computed with", None)
    if value == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
        return None, (OUT_OF_RANGE, f"{quote(text, 40)} is so small that it would become 0", "0")
    return value, None


def _plainly(text: str) -> str:
    """The decimal number that was most likely meant, else the text in quotes."""
    bare = text.replace("_", "")
    quoted = f'"{text[:100]}"'
    if len(bare) > 40 or not bare.strip("+-"):
        return quoted
    prefix = bare.lstrip("+-")[:2].lower()
    try:
        meant = int(bare, 0) if prefix in ("0b", "0o", "0x") else int(bare) if bare.lstrip("+-").isdigit() else float(bare)
    except ValueError:
        return quoted
    if isinf(meant):
        return quoted
    return Hint(f"{meant}, or {quoted} if it is text")
