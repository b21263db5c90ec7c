"""The reference of the language, generated from the parts."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from aebuild.compile.annotations import Shape, fields
from aebuild.compile.spec import DecoderRecipe, Evaluate, Head, Spec, StageSpec, Train
from aebuild.lang.codebook_update import CodebookUpdate
from aebuild.lang.dataset import Dataset
from aebuild.lang.families import Activation, Adapter, Corruption, Latent, Layer, Norm, Posterior, Prior, Quantizer
from aebuild.lang.part import Part
from aebuild.lang.schedule import Ramp
from aebuild.lang.terms import Bound, Likelihood, Penalty, Term
from aebuild.lang.training import LrSchedule, Optimizer, PhasePart, Player
from aebuild.parts import discover

FAMILIES: tuple[tuple[str, type[Part]], ...] = (
    ("Data", Dataset), ("Corruptions", Corruption), ("Layers", Layer), ("Activations", Activation), ("Norms", Norm),
    ("Adapters", Adapter), ("Latents", Latent), ("Posteriors", Posterior), ("Quantizers", Quantizer),
    ("Codebook updates", CodebookUpdate), ("Priors", Prior), ("Decoders", DecoderRecipe),
    ("Likelihoods", Likelihood), ("Penalties", Penalty), ("Bounds", Bound), ("Optimizers", Optimizer),
    ("Learning-rate schedules", LrSchedule), ("Phases", PhasePart))
RECORDS: tuple[tuple[str, type[Part]], ...] = (
    ("The spec", Spec), ("A stage", StageSpec), ("A head", Head), ("A weighted term", Term), ("A schedule", Ramp), ("train", Train),
    ("A player", Player), ("evaluate", Evaluate))


def reference() -> str:
    """The whole page as Markdown."""
    discover()
    return "\n".join(_page()).rstrip("\n") + "\n"


def _page() -> Iterator[str]:
    yield "# Reference\n"
    yield "Generated from the parts by `make docs`; each meaning is written once, where the field is declared.\n"
    for title, record in RECORDS:
        yield f"## {title}\n"
        yield from _part(record)
    for title, family in FAMILIES:
        yield f"## {title}\n"
        yield f"{_doc(family)}\n"
        for name, cls in sorted(family.variants.items()):
            yield f"### `{name}`\n"
            yield from _part(cls)


def _doc(cls: type[Part]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _part(cls: type[Part]) -> Iterator[str]:
    yield f"{_doc(cls)}\n"
    rows = [(key, cls.model_fields[name], shape) for key, (name, shape) in fields(cls).items()]
    if not rows:
        return
    yield "| key | takes | default | meaning |\n| --- | --- | --- | --- |"
    for key, info, shape in rows:
        yield f"| `{key}` | {_takes(info, shape)} | {_default(info)} | {(info.description or '').replace('|', '/')} |"
    yield ""


def _takes(info: object, shape: Shape) -> str:
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


def _default(info: object) -> str:
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
