"""The reference of the language, generated from the parts."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from aebuild.compile.annotations import Shape, fields
from aebuild.lang.part import Part
from aebuild.lang.schedule import Ramp
from aebuild.parts import plural
from aebuild.results.catalogue import every_part


def reference() -> str:
    """The whole page as Markdown."""
    return "\n".join(_page()).rstrip("\n") + "\n"


def page_of(cls: type[Part]) -> str:
    """What a part is, its keys, and its example, as Markdown."""
    return f"# {title_of(cls)}\n\n" + "\n".join(_part(cls)).rstrip("\n") + "\n"


def title_of(cls: type[Part]) -> str:
    """A part as it is spoken of: `layer linear`, or a record's name."""
    return f"{cls.family.replace('_', ' ')} {cls.variant_name()}" if cls.variant_name() is not None else cls.__name__.lower()


def _page() -> Iterator[str]:
    yield "# Reference\n"
    yield "Generated from the parts by `make docs`; each meaning is written once, where the field is declared.\n"
    yield "## Records\n"
    for record in (part for part in every_part() if part.variant_name() is None):
        yield f"### {record.__name__}\n"
        yield from _part(record)
    for word, family in sorted(Part.families.items()):
        yield f"## {plural(word).replace('_', ' ').capitalize()}\n"
        yield f"{_doc(family)}\n"
        for name, cls in sorted(family.variants.items()):
            yield f"### `{name}`\n"
            yield from _part(cls)


def _doc(cls: type[Part]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _part(cls: type[Part]) -> Iterator[str]:
    yield f"{_doc(cls)}\n"
    rows = [(key, cls.model_fields[name], shape) for key, (name, shape) in fields(cls).items()]
    if rows:
        yield "| key | takes | default | meaning |\n| --- | --- | --- | --- |"
    for key, info, shape in rows:
        yield f"| `{key}` | {takes(info, shape)} | {default_of(info)} | {(info.description or '').replace('|', '/')} |"
    if rows:
        yield ""
    if cls.example and "example" in cls.__dict__:
        yield f"```yaml\n{cls.example.strip()}\n```\n"


def takes(info: object, shape: Shape) -> str:
    """What a field takes, in the user's words."""
    if shape.kind == "family" and shape.part is not None:
        return f"{shape.part.family}"
    if shape.kind in ("stage", "stage_or_family"):
        return "stage"
    if shape.kind in ("list", "dict") and shape.inner is not None and shape.inner.part is not None:
        what = shape.inner.part.family or shape.inner.part.__name__.lower()
        return f"list of {what}s" if shape.kind == "list" else f"{what}s by name"
    if shape.kind == "record" and shape.part is not None:
        return shape.part.__name__.lower()
    return _words(getattr(info, "annotation", None))


_NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false", Ramp: "schedule", list[Ramp]: "schedules in turn"}


def _words(hint: Any) -> str:
    """An annotation in the user's words."""
    if hint in _NAMES:
        return _NAMES[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _words(args[0])
    if origin is Literal:
        return ", ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(arg) for arg in args if arg is not type(None)))
    if origin in (list, tuple):
        inner = [arg for arg in args if arg is not Ellipsis]
        return f"list of {' or '.join(dict.fromkeys(_words(arg) for arg in inner))}"
    if origin is dict:
        return f"{_words(args[1])} by name"
    return str(getattr(hint, "__name__", hint))


def default_of(info: object) -> str:
    """A field's default as Markdown; empty for none."""
    if info.is_required():  # type: ignore[attr-defined]
        return "**required**"
    value = info.get_default(call_default_factory=True)  # type: ignore[attr-defined]
    if isinstance(value, Part):
        return f"`{value.variant_name() or 'defaults'}`"
    if isinstance(value, list) and value and isinstance(value[0], Part):
        return f"`[{value[0].variant_name()}]`"
    if value is None:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else ""
