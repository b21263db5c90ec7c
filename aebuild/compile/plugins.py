"""Plug-ins: Python files of the user's own that declare parts."""

from __future__ import annotations

import ast
import hashlib
import itertools
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from aebuild.compile.installed_plugins import offered, plugin_file
from aebuild.compile.unknown_words import places
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, Span, Text, UsageError
from aebuild.lang.part import NameTakenError, Part, PartError
from aebuild.lang.regular_files import read_regular
from aebuild.parts import discover

VARIABLE = "AEBUILD_PLUGINS"      # files with os.pathsep between them
LIMIT = 2**20                     # bytes of one file
NAME = re.compile(r"[a-z][a-z0-9_]*")

NO_PLUGIN = Rule("AE122", "no such plug-in", """\
`--plugin FILE` and the environment variable `AEBUILD_PLUGINS` name Python files, or plug-ins that installed packages offer. This one
is not there, cannot be read, or is no regular file of at most 1 MiB.

```console
$ aebuild train spec.yaml --plugin gatd.py
$ aebuild train spec.yaml --plugin gated.py
```
""")

NOT_PYTHON = Rule("AE123", "a plug-in that is not Python", """\
A plug-in is one Python file. Python cannot read this one; the place is where it gave up.

```python
class Gated(Layer)                     # a colon is missing
class Gated(Layer):
```
""")

FAILS = Rule("AE124", "a plug-in that fails while it is loaded", """\
A plug-in is run once when it is loaded, so that its classes come into being. An exception ended that. Heavy libraries such as
torch are best imported inside the methods that build: then a spec is checked in milliseconds.

```python
from torhc import nn                   # no such module
from torch import nn
```
""")

IMPROPER = Rule("AE125", "a part of a plug-in that is no proper part", """\
A part is a subclass of a family with a docstring (its first sentence is the help text), with `type: Literal["name"] = "name"`,
and with a meaning for each field.

```python
class Gated(Layer):
    type: Literal["gated"] = "gated"
    width: int = 8                                                    # says nothing of what it is
```
```python
class Gated(Layer):
    \"\"\"A linear map times a sigmoid gate on the same input (Dauphin et al., 2016).\"\"\"

    type: Literal["gated"] = "gated"
    width: int = knob(8, "output features", affects="graph", ge=1)
```
""")

CLASH = Rule("AE126", "a part of this name exists already", """\
The words of a family are unique: a spec that says `linear` means one layer. A plug-in can add to a family, and replace nothing in it.

```python
type: Literal["linear"] = "linear"           # in a Layer: aebuild has one
type: Literal["my_linear"] = "my_linear"
```
""")

NO_PART = Rule("AE127", "a plug-in without parts", """\
This file declares nothing that a spec could name. A part is a subclass of a family with a field `type`.

```python
def gated(x): ...
```
```python
class Gated(Layer):
    \"\"\"A linear map times a sigmoid gate on the same input (Dauphin et al., 2016).\"\"\"

    type: Literal["gated"] = "gated"
```
""")

PART_FAILED = Rule("AE128", "a part of a plug-in failed", """\
A method of a plug-in's part raised an exception that is none of aebuild's errors. The place is the line in the plug-in; the report
file that is named has the whole traceback. A part refuses what a user wrote with `site.refuse(...)`.

```python
raise ValueError("width must be even")
site.refuse(self, ODD, "width must be even", "width")
```
""")


@dataclass(frozen=True, eq=False)
class Plugin:
    """A loaded file: its absolute path, the SHA-256 of its text, and the parts it declares."""

    path: Path
    sha256: str
    source: bytes
    module: str
    parts: tuple[type[Part], ...]
    rules: tuple[str, ...] = field(default=(), repr=False)

    @property
    def names(self) -> list[str]:
        """What it adds, as in `layer gated`."""
        return [f"{part.family} {part.variant_name()}" for part in self.parts]

    def take_back(self) -> None:
        """Makes as if it had never been loaded."""
        _take_back(self.module, self.rules)
        _loaded.pop(self.sha256, None)


_loaded: dict[str, Plugin] = {}       # by SHA-256
_PLAIN = frozenset({str, int, float, bool, type(None)})          # types of which no value is a part or holds one
_number = itertools.count(1)          # a name that a failed attempt has left behind is never used again


def load_plugins(files: Iterable[str | os.PathLike[str]] = ()) -> tuple[Plugin, ...]:
    """Runs the files of `AEBUILD_PLUGINS` and these, in order, and gives what they declare; UsageError with all that is wrong.

    A name that is no file may be that of an entry point of an installed package.
    Parts are known to the whole process from then on. A file of the same text is run once, however often and from wherever it is
    named; of a file that has changed since, the old parts are taken back.
    """
    named = [*filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)), *(os.fspath(file) for file in files)]
    found: list[Diagnostic] = []
    plugins: dict[str, Plugin] = {}
    for name in dict.fromkeys(named):
        try:
            plugin = _one(Path(plugin_file(name)))
            plugins[plugin.sha256] = plugin
        except UsageError as error:
            found += error.diagnostics
    if found:
        raise UsageError(*found)
    return tuple(plugins.values())


def loaded_plugins() -> tuple[Plugin, ...]:
    """Every plug-in of this process."""
    return tuple(_loaded.values())


def plugins_of(parts: Iterable[object]) -> tuple[Plugin, ...]:
    """The plug-ins that these parts, and the parts in them, are from."""
    modules = {type(part).__module__ for outer in parts for part in within(outer)}
    return tuple(plugin for plugin in _loaded.values() if plugin.module in modules)


def within(value: object) -> Iterator[Part]:
    """A part and all parts in it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if type(value) in _PLAIN:
            continue
        if isinstance(value, list | tuple):
            waiting += reversed(value)
        elif isinstance(value, dict):
            waiting += reversed(value.values())
        elif isinstance(value, Part):
            yield value
            waiting += reversed([*value.held()])


def blamed(error: BaseException) -> Diagnostic | None:
    """The line of a plug-in that an exception passed through, if it did."""
    for plugin in _loaded.values():
        line = _line(error, plugin.path)
        if line is not None:
            return Diagnostic(PART_FAILED, f"this plug-in failed: {_said(error)}", _span(plugin.path, plugin.source, line))
    return None


def _one(path: Path) -> Plugin:
    source = _read(path)
    sha256 = hashlib.sha256(source).hexdigest()
    if sha256 in _loaded:
        return _loaded[sha256]
    discover()
    for old in [plugin for plugin in _loaded.values() if plugin.path == path]:
        old.take_back()
    module = ModuleType(f"aebuild_plugin_{next(_number)}")
    module.__file__ = str(path)
    families, rules = dict(Part.families), set(Rule.catalogue)
    sys.modules[module.__name__] = module                  # where pydantic and dataclasses look up annotations
    try:
        _run(path, source, module)
        parts = _parts(path, source, module.__name__, families)
    except BaseException:
        Part.families.clear()
        Part.families.update(families)
        _take_back(module.__name__, tuple(set(Rule.catalogue) - rules))
        raise
    places.cache_clear()
    _loaded[sha256] = Plugin(path, sha256, source, module.__name__, parts, tuple(set(Rule.catalogue) - rules))
    return _loaded[sha256]


def _take_back(module: str, rules: tuple[str, ...]) -> None:
    """Makes as if the module had never been loaded."""
    for cls in _declared(module):
        if cls.family:
            cls.variants.forget(cls)
    for code in rules:
        del Rule.catalogue[code]
    sys.modules.pop(module, None)
    places.cache_clear()


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, LIMIT)
    except OSError as error:
        similar = _similar(path) if isinstance(error, FileNotFoundError) else None
        raise UsageError(Diagnostic(NO_PLUGIN, f"{path}: {error.strerror or error}", fix=similar)) from None


def _similar(path: Path) -> str | None:
    from aebuild.lang.suggest import closest

    try:
        best = closest(path.name, [other.name for other in path.parent.iterdir() if other.suffix == ".py"])
    except OSError:
        return None
    installed = closest(path.name, offered()) if not best else None
    return f"--plugin {path.with_name(best)}" if best else f"--plugin {installed}" if installed else None


def _run(path: Path, source: bytes, module: ModuleType) -> None:
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        said = error.msg if isinstance(error, SyntaxError) else _said(error)
        raise UsageError(Diagnostic(NOT_PYTHON, f"{path} is not Python: {said}", _span(path, source, line))) from None
    try:
        exec(code, module.__dict__)
    except NameTakenError as error:
        raise UsageError(_clash(path, source, error, _line(error, path))) from None
    except PartError as error:
        raise UsageError(Diagnostic(IMPROPER, str(error), _span(path, source, _line(error, path)))) from None
    except (Exception, SystemExit) as error:
        raise UsageError(Diagnostic(FAILS, f"{path} fails: {_said(error)}", _span(path, source, _line(error, path)))) from None


def _parts(path: Path, source: bytes, module: str, families: dict[str, type[Part]]) -> tuple[type[Part], ...]:
    """The variants that the module declared, each of them whole."""
    lines = {node.name: node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}
    parts = []
    for cls in _declared(module):
        span = _span(path, source, lines.get(cls.__name__))
        if Part.families.get(cls.family) is not families.get(cls.family):
            raise UsageError(Diagnostic(IMPROPER, f"{cls.__name__}: a plug-in adds to families, and declares none of its own", span))
        name = cls.variant_name()
        if name is None or not cls.family:
            continue
        if cls.variants.get(name) is not cls:
            raise UsageError(_clash(path, source, NameTakenError(cls.family, name, module), lines.get(cls.__name__)))
        if (wrong := _wrong(cls, name)) is not None:
            raise UsageError(Diagnostic(IMPROPER, f"{cls.__name__}: {wrong}", span))
        parts.append(cls)
    if not parts:
        raise UsageError(Diagnostic(NO_PART, f"{path} declares no part", fix=Hint(
            'a subclass of a family, such as aebuild.lang.families.Layer, with `type: Literal["name"] = "name"`')))
    return tuple(parts)


def _wrong(cls: type[Part], name: str) -> str | None:
    """Why a spec could not hold this part, if so."""
    if NAME.fullmatch(name) is None:
        return f"{name!r} cannot be the word for a part: small letters, digits and _ only, and a letter first"
    if cls.model_fields["type"].default != name:
        return f'the field `type` has to be `type: Literal["{name}"] = "{name}"`'
    try:
        cls.model_rebuild(force=True)
    except Exception as error:                 # pydantic has many for annotations that it cannot resolve
        return _said(error)
    return None


def _declared(module: str) -> list[type[Part]]:
    """The parts that a module declared, in no order but that of their making."""
    found: dict[type[Part], None] = {}
    waiting: list[type[Part]] = [Part]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            if cls.__module__ == module:
                found[cls] = None
    return list(found)


def _clash(path: Path, source: bytes, error: NameTakenError, line: int | None) -> Diagnostic:
    owner = next((str(plugin.path) for plugin in _loaded.values() if plugin.module == error.owner), None)
    whose = f"in {owner}" if owner else "in aebuild" if error.owner.startswith("aebuild.") else "in this file"
    return Diagnostic(CLASH, f"there is a {error.family} {error.name!r} {whose} already", _span(path, source, line),
                      Hint(f"another word, such as my_{error.name}"))


def _line(error: BaseException, path: Path) -> int | None:
    """The innermost line of the file that the exception passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None


def _span(path: Path, source: bytes, line: int | None) -> Span:
    text = tuple(source.decode("utf-8", "replace").splitlines()) or ("",)
    line = min(max(line or 1, 1), len(text))
    written = text[line - 1]
    begin = len(written) - len(written.lstrip())
    return Span(Text(str(path), text), line, begin + 1, line, max(len(written.rstrip()), begin + 1) + 1)


def _said(error: BaseException) -> str:
    """An exception in one line: its kind, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
