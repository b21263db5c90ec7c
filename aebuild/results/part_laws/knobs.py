"""Every number that a spec can hold: found by walking the parts, never listed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from aebuild.lang.part import Part
from aebuild.results.catalogue import every_part

AMOUNT = re.compile(r"\d+(\.\d+)?(?= ?(epochs?|steps?|%)$)")
TINY = 1e-4


@dataclass(frozen=True)
class Knob:
    """A field that can hold numbers, and what changing it is said to change."""

    part: type[Part]
    name: str

    @property
    def affects(self) -> str:
        """What the field declares, or nothing."""
        extra = self.part.model_fields[self.name].json_schema_extra
        return str(extra["affects"]) if isinstance(extra, dict) and "affects" in extra else ""

    def __str__(self) -> str:
        return f"{self.part.__module__.removeprefix('aebuild.')}.{self.part.__name__}.{self.name}"


def every_knob() -> list[Knob]:
    """Every field of every part that can hold a number."""
    return [knob for part in every_part() for knob in knobs_of(part)]


def knobs_of(part: type[Part]) -> list[Knob]:
    """Every field of a part that can hold a number."""
    return [Knob(part, name) for name, info in part.model_fields.items()
            if name != "type" and (_numeric(info.annotation) or _duration(part, name))]


def _numeric(hint: Any) -> bool:
    if hint in (int, float):
        return True
    if get_origin(hint) is Literal:
        return False
    return any(_numeric(arg) for arg in get_args(hint))


def _duration(part: type[Part], name: str) -> bool:
    return name == "over" and get_origin(part.model_fields[name].annotation) is not Literal


def others(value: Any) -> list[Any]:
    """Other values that the field might have; lists change in one entry at a time."""
    return [new for new in _others(value) if new != value]


def _others(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [value + 1, value + 2, value * 2, value - 1, value * 3, max(1, value // 2), value + 0.25]
    if isinstance(value, float):
        scaled = [value * 1e5, value * 1e3] if 0 < value < TINY else []
        return [*scaled, value * 0.5, value + 0.25, value * 2, value - 0.25, value + 1, value * 10]
    if isinstance(value, list | tuple):
        return [[*value[:i], new, *value[i + 1:]] for i, item in enumerate(value) for new in others(item)]
    if isinstance(value, dict):
        return [{**value, key: new} for key, item in value.items() for new in others(item)]
    if isinstance(value, str) and (found := AMOUNT.search(value)):
        return [value.replace(found[0], str(number), 1) for number in (float(found[0]) * 0.5, float(found[0]) * 0.25)]
    return []


def first_values() -> list[Any]:
    """What a number might be that is not given."""
    return [1, 2, 3, 0.5, 0.1, 0.01, 5, 8, [2], [3, 4], [5, 6]]
