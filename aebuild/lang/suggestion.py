"""What a data set proposes to write about itself in a fresh spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Suggestion:
    """Keys under `data` that fit these data, and for each in a sentence why; a `type` among them is the kind to take instead."""

    keys: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def joined(self, other: Suggestion) -> Suggestion:
        """Both, where this one's keys stay."""
        return Suggestion({**other.keys, **self.keys}, {**other.reasons, **self.reasons})
