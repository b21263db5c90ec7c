"""How each module of a model is made, as the Python that makes it."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from aebuild import modules
from aebuild.modules.convolution import ConvTranspose2d
from aebuild.modules.stage import Contextual, Stage

WIDTH = 110         # of a call on one line
Calls = dict[int, "Call"]


class NotWritableError(Exception):
    """Something of which no plain Python can be written."""


@dataclass(frozen=True)
class Call:
    """The arguments that a module was made from; it holds the module, so that no other gets its id."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@contextmanager
def remembered() -> Iterator[Calls]:
    """While entered, every module that is made is remembered with its arguments, the outermost constructor's."""
    calls: Calls = {}
    for each in pkgutil.iter_modules(modules.__path__, f"{modules.__name__}."):
        importlib.import_module(each.name)              # parts import them when they build, which would be too late

    def wrapped(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
            calls.setdefault(id(self), Call(self, args, kwargs))
            original(self, *args, **kwargs)

        return init

    own = [(cls, vars(cls)["__init__"]) for cls in _subclasses(nn.Module) if "__init__" in vars(cls)]
    for cls, original in own:
        cls.__init__ = wrapped(original)  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        for cls, original in own:
            cls.__init__ = original  # type: ignore[method-assign]


def _subclasses(cls: type[nn.Module]) -> list[type[nn.Module]]:
    found = {cls: None}
    for below in cls.__subclasses__():
        found |= dict.fromkeys(_subclasses(below))
    return list(found)


class Writer:
    """Writes the calls that make a model; `shapes` are comments by the module's id, `classes` collects what they name."""

    def __init__(self, calls: Calls, shapes: Mapping[int, str], model: nn.Module) -> None:
        self.calls, self.shapes = calls, shapes
        self.classes: set[type] = set()
        self.contextual = any(isinstance(module, Contextual) for module in model.modules())

    def lines(self, value: Any) -> list[str]:
        """The Python of a module or argument, one or several lines."""
        if isinstance(value, nn.Module):
            return self._call(value)
        if isinstance(value, Mapping):
            return self._entries("{", [(f"{key!r}: ".replace("'", '"'), inner) for key, inner in value.items()], "}")
        if isinstance(value, list | tuple) and any(isinstance(inner, nn.Module) for inner in value):
            return self._entries("[", [("", inner) for inner in value], "]")
        return [_literal(value)]

    def _call(self, module: nn.Module) -> list[str]:
        call = self.calls.get(id(module))
        if call is None:
            raise NotWritableError(f"how a {type(module).__name__} is made was not seen")
        name, args, options = self._name(module), list(call.args), _spoken(module, call.kwargs)
        if name == "nn.Sequential" and len(args) == 1 and isinstance(args[0], Mapping):
            body = self.lines(args[0])
            return [f"nn.Sequential(OrderedDict({body[0]}", *body[1:-1], f"{body[-1]}))"] if len(body) > 1 else ["nn.Sequential()"]
        given = [("", value) for value in args] + [(f"{key}=", value) for key, value in options.items()]
        parts = [(prefix, self.lines(value)) for prefix, value in given]
        line = f"{name}({', '.join(prefix + part[0] for prefix, part in parts)})"
        if all(len(part) == 1 for _, part in parts) and len(line) <= WIDTH:
            return [line]
        if len(parts) == 1:
            (prefix, part), = parts
            return [f"{name}({prefix}{part[0]}", *part[1:-1], f"{part[-1]})"] if len(part) > 1 else [line]
        return self._entries(f"{name}(", given, ")")

    def _entries(self, opening: str, given: Sequence[tuple[str, Any]], closing: str) -> list[str]:
        if not given:
            return [opening + closing]
        found = [opening]
        for prefix, value in given:
            part = self.lines(value)
            shape = self.shapes.get(id(value)) if isinstance(value, nn.Module) else None
            part = [prefix + part[0], *part[1:]]
            part[-1] += "," if shape is None or isinstance(value, Stage) else f",  # {shape}"
            found += [f"    {line}" for line in part]
        return [*found, closing]

    def _name(self, module: nn.Module) -> str:
        """The class as the file names it."""
        cls = type(module)
        if cls is Stage and not self.contextual:
            return "nn.Sequential"
        if cls is ConvTranspose2d:
            return "nn.ConvTranspose2d"             # ours has another way to compute the same gradient
        if cls.__module__.startswith("torch.nn."):
            return f"nn.{cls.__name__}"
        if not cls.__module__.startswith("aebuild.modules."):
            raise NotWritableError(f"{cls.__name__} is a module of a plug-in, {cls.__module__}, and not of aebuild's")
        self.classes.add(cls)
        return cls.__name__


def _spoken(module: nn.Module, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a module of torch that differ from torch's own."""
    if type(module).__module__.startswith("aebuild.") and not isinstance(module, ConvTranspose2d):
        return dict(options)
    usual = {name: parameter.default for name, parameter in inspect.signature(type(module)).parameters.items()}
    return {name: value for name, value in options.items()
            if value != usual.get(name) and not (isinstance(value, tuple) and set(value) == {usual.get(name)})}


def _literal(value: Any) -> str:
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return f'"{value}"' if value.isprintable() and '"' not in value and "\\" not in value else repr(value)
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_literal, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, range):
        return repr(value)
    raise NotWritableError(f"a value of the type {type(value).__name__} cannot be written as plain Python")
