"""A field in words: its meaning, what it takes, its default and its bounds."""

from __future__ import annotations

from collections.abc import Iterator

from aebuild.compile.annotations import fields
from aebuild.lang.part import Part
from aebuild.results.reference import default_of, takes

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def described(owner: type[Part], name: str, key: str) -> str:
    """A key of a part as Markdown."""
    info = owner.model_fields[name]
    extra = info.json_schema_extra
    lines = [f"`{key}` of {owner.variant_name() or owner.__name__.lower()}: {info.description}", "", f"takes: {kinds(owner, name)}"]
    if info.is_required():
        lines[-1] += " · required"
    elif default_of(info):
        lines[-1] += f" · default: {default_of(info)}"
    if bounds := " and ".join(bounds_of(owner, name)):
        lines[-1] += f" · {bounds}"
    if isinstance(extra, dict) and "affects" in extra:
        lines[-1] += f" · changes the {extra['affects']}"
    return "\n".join(lines)


def kinds(owner: type[Part], name: str) -> str:
    """What may stand under a field."""
    shape = next(shape for field, shape in fields(owner).values() if field == name)
    return takes(owner.model_fields[name], shape)


def bounds_of(owner: type[Part], name: str) -> Iterator[str]:
    """The least and the largest value of a field."""
    for bound in owner.model_fields[name].metadata:
        for attribute, sign in SIGNS.items():
            if (limit := getattr(bound, attribute, None)) is not None:
                yield f"{sign} {limit:,}" if isinstance(limit, int) else f"{sign} {limit}"


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, in one line."""
    words = " ".join((text or "").split())
    head, dot, _ = words.partition(". ")
    return head + "." if dot else words
