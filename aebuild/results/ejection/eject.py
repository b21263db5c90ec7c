"""A spec or a run as one Python file of plain PyTorch."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

from aebuild import __version__
from aebuild.compile.build import build
from aebuild.compile.plan import Plan
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, SpecError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.results.ejection.construction import NotWritableError, Writer, remembered
from aebuild.results.ejection.definitions import FLOOR, Copied, Key, copied
from aebuild.results.ejection.model_class import half, shape_of, whole
from aebuild.results.ejection.phase_functions import left_out
from aebuild.results.ejection.training_loop import training

NOT_EJECTED = Rule("AE530", "a model that cannot be ejected", """\
`eject` writes a model as one file of plain PyTorch from the source of aebuild's own modules. What a plug-in brings is source of your
own, which may need anything at all, so it is not taken apart: such a model stays with aebuild, or its module is moved by hand.

```console
$ aebuild eject spec.yaml --plugin gated.py -o model.py        # refused: a layer of the plug-in
$ aebuild eject vae -o model.py
```
""")
OUTER: set[tuple[str, str | None, str]] = {
    ("math", None, "math"), ("contextlib", "nullcontext", "nullcontext"), ("dataclasses", "fields", "fields"),
    ("collections.abc", "Callable", "Callable"), ("sys", None, "sys"), ("collections", "OrderedDict", "OrderedDict"),
    ("collections.abc", "Iterable", "Iterable"), ("typing", "Any", "Any"), ("numpy", None, "np"), ("torch", None, "torch"),
    ("torch", "Tensor", "Tensor"), ("torch", "nn", "nn"), ("safetensors.torch", "load_file", "load_file"),
    ("safetensors.torch", "save_file", "save_file")}
ROOTS: tuple[Key, ...] = ((f"{FLOOR}outputs", "Batch"), (f"{FLOOR}outputs", "Outputs"), (f"{FLOOR}code", "Code"),
                          (f"{FLOOR}randomness", "random_modules"), (f"{FLOOR}randomness", "reseed"), (f"{FLOOR}randomness", "derive"))


@dataclass(frozen=True)
class Ejected:
    """The file, and what of the spec is not in it."""

    source: str
    left_out: tuple[str, ...]


def eject(plan: Plan) -> Ejected:
    """The plan's model, its losses and a training loop as one file; SpecError where that cannot be written."""
    with remembered() as calls:
        model = build(plan)
    try:
        if model.latent.follows:
            raise NotWritableError("its posterior follows the likelihood, for which encoding runs the decoder")
        return _ejected(plan, model, Writer(calls, _shapes(plan, model), model))
    except NotWritableError as error:
        advice = Hint("a spec without that part, or aebuild.build(spec), which gives the same nn.Module")
        raise SpecError(Diagnostic(NOT_EJECTED, f"this model cannot be ejected: {error}", fix=advice)) from error


def _ejected(plan: Plan, model: Autoencoder, writer: Writer) -> Ejected:
    own = ["\n\n\n".join((half("Encoder", model.encoder, plan.encoder, writer), half("Decoder", model.decoder, plan.decoder, writer))),
           whole(plan, model, writer, [term.name for term in plan.terms]), *training(plan, model)]
    written = "\n\n\n".join(own)
    roots = {*ROOTS, *((cls.__module__, cls.__name__) for cls in writer.classes)}
    roots |= {(f"{FLOOR}stage", "unlearned")} if "unlearned(" in written else set()
    library = copied(roots, written)
    body = _joined([*library.texts, *own])
    return Ejected(f"{_head(plan)}\n\n{_imports(library, body)}\n\n\n{body}\n", left_out(plan))


def _shapes(plan: Plan, model: nn.Module) -> dict[int, str]:
    """What each planned module gives, by the module's id."""
    shapes = {node.path: shape_of(node) for node in plan.nodes()}
    return {id(module): shapes[path] for path, module in model.named_modules() if path in shapes}


def _head(plan: Plan) -> str:
    from aebuild.compile.canonical import text

    spec = _quotable(text(plan.spec)).rstrip()
    missing = "".join(f"\nNot in this file: {_quotable(told)}." for told in left_out(plan))
    return (f'"""{_safe(plan.spec.name)}: an autoencoder in plain PyTorch, written by aebuild {__version__}.\n\n'
            f"    python model.py SAMPLES.npy [VALIDATION.npy]        trains it, and writes model.safetensors\n\n"
            f"    network = Autoencoder()\n    network.load_state_dict(load_file(\"model.safetensors\"))\n\n"
            f"Samples are [n, {', '.join(map(str, plan.input.shape))}], {plan.input}, scaled to the range {plan.bounds}.{missing}\n\n"
            f"The spec it was made from:\n\n" + "\n".join(f"    {line}".rstrip() for line in spec.split("\n")) + '\n"""')


def _quotable(text: str) -> str:
    """Text that cannot end the string it stands in."""
    return re.sub(r'\\|"""', "?", text)


def _safe(name: str) -> str:
    return re.sub(r"[^\w .,-]", "?", name)


def _imports(library: Copied, body: str) -> str:
    """The import statements of the names that the file uses, the standard library's first."""
    names = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)} | {"load_file"}
    used = {entry for entry in library.imports | OUTER if entry[2] in names}
    whole, parts = [entry for entry in used if entry[1] is None], [entry for entry in used if entry[1] is not None]
    lines: dict[str, list[str]] = {"standard": [], "installed": []}
    for module, _, name in sorted(whole):
        _group(lines, module).append(f"import {module}" + ("" if module == name else f" as {name}"))
    for module in sorted({entry[0] for entry in parts}):
        inner = sorted({(str(part), name) for where, part, name in parts if where == module})
        told = ", ".join(part if part == name else f"{part} as {name}" for part, name in inner)
        _group(lines, module).append(f"from {module} import {told}")
    blocks: list[Any] = [["from __future__ import annotations"], lines["standard"], lines["installed"]]
    return "\n\n".join("\n".join(block) for block in blocks)


def _group(lines: dict[str, list[str]], module: str) -> list[str]:
    return lines["installed" if module.split(".")[0] in ("torch", "numpy", "safetensors") else "standard"]


def _joined(definitions: list[str]) -> str:
    """Definitions two lines apart, constants none."""
    found = definitions[0]
    for before, text in pairwise(definitions):
        plain = all(re.match(r"\w+( ?[:=])", each) and not each.startswith(("class ", "def ")) for each in (before, text))
        found += ("\n" if plain else "\n\n\n") + text
    return found


def write_weights(folder: Path, place: Path) -> Path:
    """The kept weights of a run, under the names that the ejected model has."""
    from safetensors.torch import save_file

    from aebuild.results.open_run import open_run

    save_file({name: value.contiguous() for name, value in open_run(folder).model.state_dict().items()}, place)
    return place
