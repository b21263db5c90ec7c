"""Every rule and every part there is: rules by importing what declares them, parts by walking what a spec can hold."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import aebuild
from aebuild.compile.annotations import Shape, fields
from aebuild.compile.losses import provided_terms
from aebuild.compile.spec import Spec, StageSpec
from aebuild.lang.diagnostics import Rule
from aebuild.lang.part import Part
from aebuild.lang.terms import Penalty
from aebuild.parts import discover

# Modules that declare no rule: they would cost time, or need the packages of an extra.
WITHOUT_RULES = ("aebuild.cli", "aebuild.lsp", "aebuild.modules", "aebuild.__main__", "aebuild.serving.app", "aebuild.serving.server")


def rule_called(code: str) -> Rule | None:
    """The rule of this code; only the modules whose text has the code are imported, for most rules stand in light ones."""
    folder = Path(aebuild.__path__[0])
    for path in folder.rglob("*.py"):
        if code not in Rule.catalogue and f'"{code}"' in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(("aebuild", *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"))
    return Rule.catalogue.get(code)


def every_rule() -> dict[str, Rule]:
    """All rules by code, in order; modules that need torch only to compute declare theirs without it."""
    for module in pkgutil.walk_packages(aebuild.__path__, "aebuild."):
        if not f"{module.name}.".startswith(tuple(f"{name}." for name in WITHOUT_RULES)):
            importlib.import_module(module.name)
    return dict(sorted(Rule.catalogue.items()))


def every_part() -> list[type[Part]]:
    """Every part that a spec can hold, those of plug-ins too, each once, in the order of the walk; no families."""
    discover()
    found: dict[type[Part], None] = {}
    waiting: list[type[Part]] = [Spec, *_term_parts()]
    while waiting:
        part = waiting.pop(0)
        if part not in found:
            found[part] = None
            waiting += [inner for _, shape in fields(part).values() for inner in _inside(shape)]
    return [part for part in found if part.variant_name() is not None or not part.family]


def parts_called(name: str) -> list[type[Part]]:
    """The parts that a spec calls so, and records like `train` and `head`."""
    word = name.casefold()
    parts = dict.fromkeys([*every_part(), *(cls for family in Part.families.values() for cls in family.variants.values())])
    return [part for part in parts if (part.variant_name() or part.__name__).casefold() == word]


def _term_parts() -> Iterator[type[Part]]:
    """What may stand under `losses`, which names its terms freely."""
    yield from Penalty.variants.values()
    yield from provided_terms().values()


def _inside(shape: Shape) -> list[type[Part]]:
    if shape.kind == "family":
        return list(shape.variants.values())
    if shape.kind == "stage_or_family":
        return [StageSpec, *Shape("family", shape.part).variants.values()]
    if shape.kind in ("record", "stage"):
        assert shape.part is not None
        return [shape.part]
    inner = [shape.inner] if shape.inner is not None else []
    return [part for each in (*inner, *shape.others) for part in _inside(each)]
