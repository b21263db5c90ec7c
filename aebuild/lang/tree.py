"""A spec's values as they were written: plain data that knows its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, Union

from aebuild.lang.diagnostics import Span
from aebuild.lang.scalars import Scalar

Plain: TypeAlias = Union[bool, int, float, str, list["Plain"], dict[str, "Plain"], None]  # noqa: UP007


@dataclass(frozen=True, init=False)
class Tree:
    """One value of a spec and where it was written.

    `key` is the span of the mapping key that leads here. A `damaged` value has been complained about already and stands
    for something unreadable: passes that come later say nothing about it.
    """

    value: Scalar | tuple[Tree, ...] | dict[str, Tree]
    span: Span
    key: Span | None = None
    damaged: bool = False

    def __init__(self, value: Scalar | tuple[Tree, ...] | dict[str, Tree], span: Span, key: Span | None = None, damaged: bool = False
                 ) -> None:
        vars(self).update(value=value, span=span, key=key, damaged=damaged)          # twice as fast as what a frozen dataclass does

    @property
    def is_mapping(self) -> bool:
        """True for keys with values."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """True for a list."""
        return isinstance(self.value, tuple)

    @property
    def is_scalar(self) -> bool:
        """True for a number, a truth value, text or null."""
        return not isinstance(self.value, dict | tuple)

    def get(self, key: str) -> Tree | None:
        """The value of a mapping's key; None where there is none, or no mapping."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def plain(self) -> Plain:
        """The value without places: dicts, lists and scalars. A tree of `read` is at most 32 deep."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, tuple):
            return [child.plain() for child in self.value]
        return self.value
