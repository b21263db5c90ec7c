"""Amounts with a unit, as people write them: 100k, 5M, 2 ms, 64 MiB."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_AMOUNT = re.compile(r"^(\d{1,15}(?:\.\d{1,9})?(?:[eE][+]?\d{1,2})?)\s*([A-Za-zµ]*)$")
_EXACT = Context(prec=60)
COUNTS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BYTES = {" B": 1, " KiB": 2**10, " MiB": 2**20, " GiB": 2**30, " TiB": 2**40, " kB": 10**3, " MB": 10**6, " GB": 10**9}
TIMES = {" us": 1, " ms": 10**3, " s": 10**6}
_ALSO = {"K": "k", "µs": "us"}
_EXAMPLES = {"": "100k or 5M", " B": "64 MiB", " us": "2 ms"}


def parsed(value: object, units: Mapping[str, int]) -> float:
    """The amount in its smallest unit: things, bytes or microseconds; ValueError with what would be one."""
    return float(_exact(value, units))


def canonical(value: object, units: Mapping[str, int]) -> str:
    """The shortest text of the same amount; of two equally short ones the one without a fraction."""
    exact = _exact(value, units)
    told = [f"{_EXACT.divide(exact, Decimal(factor)):f}" for factor in units.values()]
    whole = [text.rstrip("0").rstrip(".") if "." in text else text for text in told]
    texts = [text + unit for text, unit in zip(whole, units, strict=True)]
    return min(reversed(texts), key=lambda text: (len(text), "." in text))


def _exact(value: object, units: Mapping[str, int]) -> Decimal:
    kinds = [unit.strip() for unit in units]
    wanted = f"a number and one of {', '.join(filter(None, kinds))}, like {_EXAMPLES[next(iter(units))]}"
    found = _AMOUNT.match(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    unit = "" if found is None else _ALSO.get(found[2], found[2])
    if found is None or unit not in kinds:
        raise ValueError(f"an amount is {wanted}")
    exact = _EXACT.multiply(Decimal(found[1]), Decimal(dict(zip(kinds, units.values(), strict=True))[unit]))
    if exact <= 0:
        raise ValueError("an amount is more than nothing")
    return exact


def _schema(units: Mapping[str, int]) -> WithJsonSchema:
    words = "|".join(filter(None, (*(unit.strip() for unit in units), *_ALSO)))
    text: dict[str, Any] = {"type": "string", "pattern": rf"^\d+(\.\d+)?(e\+?\d+)?\s*({words}){'?' if '' in units else ''}$"}
    return WithJsonSchema({"anyOf": [text, {"type": "number", "exclusiveMinimum": 0}]} if "" in units else text)


Count = Annotated[str, BeforeValidator(lambda value: canonical(value, COUNTS)), _schema(COUNTS)]
Bytes = Annotated[str, BeforeValidator(lambda value: canonical(value, BYTES)), _schema(BYTES)]
Time = Annotated[str, BeforeValidator(lambda value: canonical(value, TIMES)), _schema(TIMES)]
