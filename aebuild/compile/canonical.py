"""A spec as plain data in canonical form; reading it again gives the same spec."""

from __future__ import annotations

from typing import Any

from aebuild.compile.annotations import fields, is_transparent
from aebuild.compile.spec import Losses, Spec, StageSpec
from aebuild.lang.emit import emit
from aebuild.lang.part import Part


def text(spec: Spec) -> str:
    """The canonical spec as YAML."""
    return emit(plain(spec))


def plain(part: Part) -> Any:
    """A part as plain data; defaults are left out."""
    if isinstance(part, StageSpec):
        return _stage(part)
    entries = _entries(part)
    if isinstance(part, Spec):
        entries.setdefault("data", plain(part.data))       # a run must name its data, default or not
    if isinstance(part, Losses):
        entries = {**{key: value for key, value in entries.items() if key != "terms"}, **entries.get("terms", {})}
    name = part.variant_name()
    if name is None:
        return entries
    return {"type": name, **entries} if entries else name


def _entries(part: Part) -> dict[str, Any]:
    entries = {}
    for key, (name, _) in fields(type(part)).items():
        value = getattr(part, name)
        if not _is_default(part, name, value):
            entries[key] = _value(value)
    return entries


def _is_default(part: Part, name: str, value: Any) -> bool:
    info = type(part).model_fields[name]
    if info.is_required():
        return False
    default = info.get_default(call_default_factory=True)
    return type(default) is type(value) and bool(default == value)


def _value(value: Any) -> Any:
    if isinstance(value, Part):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_item(item) for item in value]
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    return "none" if value is None else value


def _item(value: Any) -> Any:
    if not isinstance(value, Part) or value.variant_name() is None:
        return _value(value)
    name, entries = str(value.variant_name()), _entries(value)
    if not entries:
        return name
    if is_transparent(type(value)):
        return {name: next(iter(entries.values()))}
    return {name: entries}


def _stage(stage: StageSpec) -> Any:
    entries = _entries(stage)
    return entries["steps"] if set(entries) == {"steps"} else entries


