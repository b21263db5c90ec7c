"""What a part may warn of: what builds but will disappoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aebuild.lang.diagnostics import Rule
from aebuild.lang.samples import DataInfo

Finding: TypeAlias = tuple[Rule, str, object, str | None]      # rule, message, the part or span to underline, fix


@dataclass(frozen=True)
class Surroundings:
    """What a part sees besides itself: the data, the bits of a code, and the terms of the loss with their largest weights."""

    info: DataInfo
    bits: float
    weights: Mapping[str, float] = field(default_factory=dict)


def warning(code: str, title: str, story: str, idle: bool = False) -> Rule:
    """A rule that does not keep a spec from being built; `idle` if it is about what changes nothing."""
    return Rule(code, title, story, "warning", idle)
