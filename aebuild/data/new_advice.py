"""What helps with new data of a trained model: not the changes of a spec that reading advises, for training has settled those."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from aebuild.data.formats.empty_cells import REMEDY
from aebuild.data.rules import MIXED
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import DataError, Diagnostic, Hint
from aebuild.lang.values import Tokens, Value


@contextmanager
def for_new(part: Dataset, wanted: Value) -> Iterator[None]:
    """Errors of reading are written for who writes a spec; what they advise becomes what helps with new data of a trained model."""
    try:
        yield
    except DataError as error:
        raise DataError(*(replace(found, fix=_advice(found, part, wanted)) for found in error.diagnostics)) from error


def _advice(found: Diagnostic, part: Dataset, wanted: Value) -> str | None:
    """What helps with new data: no change of what the training has settled."""
    fix = found.fix or ""
    if found.rule is MIXED and fix.startswith("size: "):
        return Hint(remedy(part, wanted))
    if fix == REMEDY:
        return Hint("remove the row; a model that is trained with `missing: mean` or `mask` under data takes such rows")
    if fix.startswith("a shorter window"):
        return Hint("give longer series: the model's windows are as long as its spec says")
    if found.fix is None or isinstance(found.fix, Hint):
        return found.fix
    key, colon, value = fix.partition(": ")
    settable = colon and key in type(part).model_fields and getattr(part, key) in (None, type(part).model_fields[key].default)
    return Hint(f"--set data.{key}={value}") if settable else None


def remedy(part: Dataset, wanted: Value, found: Value | None = None) -> str:
    """What would make new data what a model wants."""
    if isinstance(found, Tokens) and isinstance(wanted, Tokens) and found.length == wanted.length:
        return f"the model knows the symbols 0 to {wanted.classes - 1} alone"
    colours = "gray" if wanted.features == 1 else "rgb"
    if found is not None and (found.axes != wanted.axes or found.features != wanted.features):
        if found.axes == wanted.axes == 2 and part.stored_as_images and takes(type(part), "channels", colours):
            return f"--set data.channels={colours}"
        return "give samples of the shape that the model was trained on"
    if wanted.axes == 2 and "size" in type(part).model_fields:
        return f"--set data.size={list(wanted.places)} resizes images, --fit tile takes them as large as they are"
    if wanted.axes:
        return "--fit tile takes samples of any size"
    return "give samples of the shape that the model was trained on"


def takes(kind: type[Dataset], name: str, value: Any) -> bool:
    """Whether a kind of data has this option, and it can have this value: another kind may mean something else by the name."""
    if name not in kind.model_fields:
        return False
    try:
        TypeAdapter(kind.model_fields[name].rebuild_annotation()).validate_python(value)
    except ValidationError:
        return False
    return True
