"""The classes and functions of aebuild.modules that a model uses, as the source of one file."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial

from aebuild.results.ejection.alone import alone, short_docstrings, without_methods
from aebuild.results.ejection.construction import NotWritableError

FLOOR = "aebuild.modules."
Key = tuple[str, str]             # module, name

STAGE = '''
class Stage(nn.Sequential):
    """Steps in order, of which some read or fill a context."""

    def __init__(self, steps: Mapping[str, nn.Module]) -> None:
        super().__init__(OrderedDict(steps))

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, ...] to [N, ...]."""
        context = {} if context is None else context
        for step in self:
            x = step(x, context) if isinstance(step, Contextual | Stage) else step(x)
        return x
'''.strip()
INSTEAD = {(f"{FLOOR}stage", "Stage"): STAGE}                     # less of it is enough here
GONE = (f"{FLOOR}collectives", f"{FLOOR}recording")                # `alone` took their calls out
LEFT_OUT = {(f"{FLOOR}latent", "Latent"): "_load_from_state_dict",      # reads checkpoints of old versions
            (f"{FLOOR}autoencoder", "Head"): "losses"}


@dataclass
class Source:
    """A file of aebuild.modules: its definitions by name, in order, and what its names are imported from."""

    definitions: dict[str, str] = field(default_factory=dict)
    inner: dict[str, Key] = field(default_factory=dict)             # from other files of the floor
    outer: dict[str, tuple[str, str | None]] = field(default_factory=dict)      # (module, name in it)


@cache
def source_of(module: str) -> Source:
    """A file of the floor, read."""
    text = inspect.getsource(importlib.import_module(module))
    lines, found = text.split("\n"), Source()
    for node in _statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.outer |= {alias.asname or alias.name: (alias.name, None) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(FLOOR):
            found.inner |= {alias.name: (str(node.module), alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            found.outer |= {alias.asname or alias.name: (str(node.module), alias.name) for alias in node.names}
        elif (name := _defined(node)) is not None:
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            found.definitions[name] = "\n".join(lines[first - 1:node.end_lineno])
    return found


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        yield from node.body if isinstance(node, ast.If) else (node,)


def _defined(node: ast.stmt) -> str | None:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else None


@cache
def _plain(key: Key) -> str:
    """A definition for one process, documented in short."""
    module, name = key
    source = source_of(module)
    if key in INSTEAD:
        return INSTEAD[key]
    shared = frozenset(each for each, (where, _) in source.inner.items() if where == f"{FLOOR}collectives")
    return short_docstrings(alone(source.definitions[name], shared))


@dataclass(frozen=True)
class Copied:
    """The definitions in an order in which Python can read them, and the names that they import."""

    texts: list[str]
    imports: set[tuple[str, str | None, str]]          # module, name in it, name here


def copied(roots: Iterable[Key], written: str) -> Copied:
    """What the roots need, without methods that nobody names; `written` is the source that uses them."""
    names, wanted = _words(written), set(roots)
    while True:
        texts = {key: without_methods(_plain(key), partial(_kept, key, names)) for key in wanted}
        seen = names.union(*map(_words, texts.values()))
        needed = wanted | {other for key, text in texts.items() for other in _needs(key[0], text)}
        if seen == names and needed == wanted:
            break
        names, wanted = seen, needed
    _check_names(wanted)
    outer = {(*source_of(key[0]).outer[word], word) for key, text in texts.items() for word in _words(text)
             if word in source_of(key[0]).outer}
    return Copied([texts[key] for key in _ordered(texts)], outer)


def _kept(key: Key, names: frozenset[str], name: str) -> bool:
    if LEFT_OUT.get(key) == name or name == "extra_repr":
        return False
    return name in names or name == "forward" or name == "_load_from_state_dict" or (name.startswith("__") and name.endswith("__"))


@cache
def _words(text: str) -> frozenset[str]:
    """Every name and attribute in a source."""
    return _names(text) | {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}


@cache
def _names(text: str) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


def _needs(module: str, text: str) -> Iterator[Key]:
    source = source_of(module)
    for name in _names(text):
        if name in source.definitions:
            yield module, name
        elif name in source.inner and source.inner[name][0] not in GONE:
            yield source.inner[name]


def _check_names(keys: set[Key]) -> None:
    owners: dict[str, str] = {}
    for module, name in sorted(keys):
        if owners.setdefault(name, module) != module:
            raise NotWritableError(f"{name} means two things: in {owners[name]} and in {module}")


def _ordered(texts: dict[Key, str]) -> list[Key]:
    """Files in the order of their imports, in each the order of its text."""
    files: list[str] = []

    def visit(module: str, above: tuple[str, ...] = ()) -> None:
        if module in files or module in above:
            return
        for other, _ in source_of(module).inner.values():
            visit(other, (*above, module))
        files.append(module)

    for module, _ in sorted(texts):
        visit(module)
    return [(module, name) for module in files for name in source_of(module).definitions if (module, name) in texts]
