"""What a field's annotation asks for: a family, a record, a list, a stage, or a plain value."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from aebuild.compile.spec import StageSpec
from aebuild.lang.part import Part

Kind = Literal["plain", "family", "record", "list", "dict", "stage", "stage_or_family", "union"]


@dataclass(frozen=True)
class Shape:
    """The outline of an annotation; `inner` is the part class, or the shape of items."""

    kind: Kind
    part: type[Part] | None = None
    inner: Shape | None = None
    optional: bool = False
    others: tuple[Shape, ...] = ()
    key: str = ""               # of a penalty family: only those under this key of `losses`

    @property
    def variants(self) -> Mapping[str, type[Part]]:
        """The classes that `type` chooses from."""
        assert self.part is not None
        known = self.part.variants
        return known if not self.key else {name: cls for name, cls in known.items() if getattr(cls, "key", "") == self.key}

    @property
    def default(self) -> type[Part] | None:
        """The class meant where no `type` is written, if that is clear."""
        assert self.part is not None
        if self.key:
            own = list(self.variants.values())
            leading = [cls for cls in own if getattr(cls, "leads", False)] or own
            return leading[0] if len(leading) == 1 else None
        return self.variants.get(self.part.default_variant or "")


@cache
def fields(cls: type[Part]) -> dict[str, tuple[str, Shape]]:
    """YAML key to (field name, shape) of a part's written fields, the part's own before those it shares."""
    homes = [home for home in cls.__mro__ if issubclass(home, Part)]
    names = dict.fromkeys(name for home in homes for name in inspect.get_annotations(home) if name in cls.model_fields)
    return {cls.model_fields[name].alias or name: (name, shape_of(cls.model_fields[name].annotation)) for name in names if name != "type"}


@cache
def required(cls: type[Part]) -> tuple[str, ...]:
    """The YAML keys that must be written."""
    return tuple(key for key, (name, _) in fields(cls).items() if cls.model_fields[name].is_required())


@cache
def tuples(cls: type[Part]) -> frozenset[str]:
    """The YAML keys of fields that hold tuples."""
    return frozenset(key for key, (name, _) in fields(cls).items() if "tuple" in str(cls.model_fields[name].annotation))


@cache
def counts(cls: type[Part], name: str) -> bool:
    """True if the field takes whole numbers and has no largest one of its own."""
    info = cls.model_fields[name]
    return int in _kinds(info.annotation) and not any(hasattr(bound, end) for bound in info.metadata for end in ("lt", "le"))


def _kinds(hint: Any) -> list[Any]:
    return [kind for arg in get_args(hint) for kind in _kinds(arg)] or [hint]


def is_family(cls: type[Part]) -> bool:
    """True for a family, whose variants are chosen by `type`."""
    return bool(cls.family) and cls.variant_name() is None


def shape_of(hint: Any) -> Shape:
    """The shape of an annotation."""
    origin = get_origin(hint)
    if origin is Annotated:
        return shape_of(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return _union(list(get_args(hint)))
    if hint is StageSpec:
        return Shape("stage", StageSpec)
    if isinstance(hint, type) and issubclass(hint, Part):
        return Shape("family" if is_family(hint) else "record", hint)
    if origin is list and (inner := shape_of(get_args(hint)[0])).kind != "plain":
        return Shape("list", inner=inner)
    if origin is dict and (inner := shape_of(get_args(hint)[1])).kind != "plain":
        return Shape("dict", inner=inner)
    return Shape("plain")


def _union(args: list[Any]) -> Shape:
    shapes = [shape_of(arg) for arg in args if arg is not type(None)]
    optional = type(None) in args
    rich = [shape for shape in shapes if shape.kind != "plain"]
    if not rich:
        words = {word for arg in args if get_origin(arg) is Literal for word in get_args(arg)}
        return Shape("plain", optional=optional and "none" not in words)      # there `none` is a choice of its own
    if len(shapes) == 1:
        only = shapes[0]
        return Shape(only.kind, only.part, only.inner, optional, only.others)
    if rich[0].kind == "stage":
        return Shape("stage_or_family", rich[1].part, optional=optional)
    return Shape("union", optional=optional, others=tuple(rich))


def scalar_field(cls: type[Part]) -> tuple[str, Shape] | None:
    """The key and shape of the field that a scalar fills: the part's first, unless its family names one."""
    known = fields(cls)
    key = cls.scalar or next(iter(known), None)
    return None if key is None else (key, known[key][1])


def is_transparent(cls: type[Part]) -> bool:
    """True if the part only wraps one member of a family, so that the member's own mapping stands for it."""
    shapes = [shape for _, shape in fields(cls).values()]
    return len(shapes) == 1 and shapes[0].kind == "family"
