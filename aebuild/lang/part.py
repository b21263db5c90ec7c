"""Parts: everything a spec can name is one class in one file."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, PrivateAttr
from pydantic_core.core_schema import CoreSchema, is_instance_schema

from aebuild.lang.diagnostics import Span
from aebuild.lang.lint import Finding, Surroundings

Effect = Literal["graph", "loss", "gradient", "data", "training", "evaluation"]


@dataclass(frozen=True)
class Origin:
    """Where a part was written: its own span, that of its key, and one per written field.

    Origins never make two parts differ: equal specs stay equal wherever they were written.
    """

    span: Span | None = None
    fields: dict[str, Span] = field(default_factory=dict)
    items: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    key: Span | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin)

    def __hash__(self) -> int:
        return 0


class PartError(TypeError):
    """A class that is no proper part; the message says what it lacks."""


class NameTakenError(PartError):
    """A second part of one name in a family; `owner` is the module that declares the first."""

    def __init__(self, family: str, name: str, owner: str) -> None:
        super().__init__(f"{family} {name!r} is declared twice, first in {owner}")
        self.family, self.name, self.owner = family, name, owner


class Variants(Mapping[str, "type[Part]"]):
    """The members of a family by name; a member's file is imported when it is first asked for.

    A part's YAML name is the name of its file, so the names are known without importing anything.
    """

    def __init__(self) -> None:
        self._classes: dict[str, type[Part]] = {}
        self._modules: dict[str, str] = {}
        self._names: list[str] | None = None          # all of them in order, where nothing was added since

    def expect(self, name: str, module: str) -> None:
        """Says which module declares the member of that name."""
        self._modules.setdefault(name, module)
        self._names = None

    def add(self, name: str, cls: type[Part]) -> None:
        """Called for each class as it is made; NameTakenError for a second class of one name, its file imported yet or not."""
        owner = self._modules.get(name, cls.__module__)
        if owner != cls.__module__:
            raise NameTakenError(cls.family, name, owner)
        known = self._classes.setdefault(name, cls)
        self._names = None
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise NameTakenError(cls.family, name, known.__module__)

    def forget(self, cls: type[Part]) -> None:
        """Takes a class out again, if it is the member of its name."""
        for name in [name for name, known in self._classes.items() if known is cls]:
            del self._classes[name]
        self._names = None

    def imported(self) -> list[type[Part]]:
        """The members whose files have been imported."""
        return list(self._classes.values())

    def read_all(self) -> None:
        """Imports the files of all members."""
        if len(self._classes) < len(self):
            list(self.values())

    def __getitem__(self, name: str) -> type[Part]:
        known = self._classes.get(name)
        if known is None and name in self._modules:
            importlib.import_module(self._modules[name])
        return known or self._classes[name]

    def __iter__(self) -> Iterator[str]:
        if self._names is None:
            self._names = sorted({*self._classes, *self._modules})
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names) if self._names is not None else len({*self._classes, *self._modules})

    def __contains__(self, name: object) -> bool:
        return name in self._classes or name in self._modules


class Part(BaseModel):
    """A frozen record of a spec; unknown keys are refused, numbers are never coerced from text.

    A *family* is a direct subclass of Part made with `family=True`; its subclasses with a `type: Literal["name"]`
    field are its *variants*, collected here, so no registry exists to forget.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True,
                              allow_inf_nan=False, protected_namespaces=(), defer_build=True)

    families: ClassVar[dict[str, type[Part]]] = {}
    variants: ClassVar[Variants] = Variants()
    family: ClassVar[str] = ""
    default_variant: ClassVar[str | None] = None
    decider: ClassVar[str] = ""               # the field that decides what `still_missing` wants
    scalar: ClassVar[str | None] = None       # the field that a scalar fills; the part's first if None
    listed: ClassVar[str | None] = None       # of a family: the variant that a list in place of a mapping means
    wraps: ClassVar[str | None] = None        # the field that takes the keys which are not the part's own
    also: ClassVar[tuple[str, ...]] = ()      # other libraries' words for this variant: never accepted, but understood
    example: ClassVar[str] = ""               # a small spec, or the keys of one, in which this part stands with its numbers written
    foreign: ClassVar[Mapping[str, str]] = {}     # other libraries' words for its keys and choices; subclasses add theirs

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the variant into its family and hold the laws of a part."""
        super().__pydantic_init_subclass__(**kwargs)
        _settle_class_variables(cls)
        if not (cls.__doc__ or "").strip():
            raise PartError(f"{cls.__name__}: a part needs a docstring, the first sentence is its help text")
        for name, info in cls.model_fields.items():
            if name != "type" and not info.description:
                raise PartError(f"{cls.__name__}.{name}: a field needs a description")
        if "family" in cls.__dict__:
            cls.variants = Variants()
            Part.families[cls.family] = cls
            return
        own = cls.variant_name()
        if own is None or not cls.family:
            return
        cls.variants.add(own, cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A family is never made itself: where a field names it, any member will do, already bound and checked."""
        if cls.family and cls.variant_name() is None:
            return is_instance_schema(cls)
        return handler(source)

    @classmethod
    def variant_name(cls) -> str | None:
        """The YAML name of this variant, or None for a family or a plain record."""
        return _variant_name(cls)

    @classmethod
    def still_missing(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Fields that must be written beside these values, though another choice of `decider` would not need them."""
        return ()

    @classmethod
    def named(cls, name: str, **values: Any) -> Self:
        """A new member of this family by its YAML name; lets parts use siblings without importing them."""
        kind = cls.variants[name]
        member = kind(**values) if values else kind.model_construct()      # defaults need no validator
        assert isinstance(member, cls)
        return member

    def lint(self, node: Any, around: Surroundings) -> Iterator[Finding]:
        """Warnings about this part at a Node of its own, None where it has none."""
        return iter(())

    def place(self, *names: str) -> Span | None:
        """The span of the first of these fields that was written, else of the whole part."""
        origin = self._origin
        for name in names:
            if name in origin.fields:
                return origin.fields[name]
        return origin.span

    def span_of(self, name: str) -> Span | None:
        """The span of this field; None where it was not written."""
        return self._origin.fields.get(name)

    def placed(self, origin: Origin) -> Self:
        """This part, remembering where it was written."""
        self._origin = origin
        return self

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed; the origin stays."""
        return self.model_copy(update=changes)

    def held(self) -> Iterable[Any]:
        """The values of its fields, in their order."""
        return self.__dict__.values()          # getattr of each is ten times slower


def _settle_class_variables(cls: type[Part]) -> None:
    """Spares pydantic the types of class variables, which it would read again for each class below: a third of an import."""
    hints = cls.__dict__.get("__annotations__", {})
    hints |= {name: ClassVar for name, hint in hints.items() if isinstance(hint, str) and hint.startswith("ClassVar[")}


_settle_class_variables(Part)


@cache
def _variant_name(cls: type[Part]) -> str | None:
    info = cls.model_fields.get("type")
    if info is None or get_origin(info.annotation) is not Literal:
        return None
    return str(get_args(info.annotation)[0])


def knob(default: Any, doc: str, *, affects: Effect, **bounds: Any) -> Any:
    """A field of a part: its default, its meaning, what changing it changes, and pydantic bounds (ge, gt, le, lt).

    Use `...` as default for a required field, with `examples` of what to write where it is missing.
    """
    return Field(default, description=doc, json_schema_extra={"affects": affects}, **bounds)
