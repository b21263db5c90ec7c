"""The law of knobs: every number changes what its field declares, and nothing outside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.compile.spec import Train
from aebuild.lang.part import Part
from aebuild.results.part_laws.knobs import Knob, first_values, others
from aebuild.results.part_laws.views import View, same

LOCAL = ["train.device=cpu"]
DECLARED = {"graph", "loss", "gradient", "data", "training", "evaluation"}
Place = tuple[Any, ...]                       # the way to a part: names of fields, positions in lists, keys


class Trials:
    """The contexts over one folder, each seen once."""

    def __init__(self, folder: Path, texts: list[str]) -> None:
        self.folder = folder
        self.views = [self.view(text) for text in texts]

    def view(self, text: str) -> View:
        """A spec that has no errors."""
        found = self.view_or_none(text)
        assert found is not None, [d.message for d in load(self.folder / "spec.yaml", text=text).errors]
        return found

    def view_or_none(self, text: str) -> View | None:
        """A spec, if it has no errors."""
        loaded = load(self.folder / "spec.yaml", LOCAL, text=text)
        return View(loaded, self.folder) if loaded.plan is not None and not loaded.errors else None

    def changes(self, knob: Knob) -> Iterator[tuple[View, View, Place]]:
        """The context before and after, for every other value that some context can have there."""
        found = [(view, place, part) for view in self.views for place, part in places(view.plan.spec, knob.part)]

        def later(each: tuple[View, Place, Part]) -> tuple[bool, bool]:
            return knob.name not in each[2]._origin.fields, not others(getattr(each[2], knob.name))

        for view, place, part in sorted(found, key=later):      # written ones first, and of these the numbers
            for new in others(getattr(part, knob.name)) or first_values():
                after = self.view_or_none(canonical(changed(view.plan.spec, place, knob.name, new)))
                if after is not None:
                    yield view, after, place


def places(value: Any, wanted: type[Part], way: Place = ()) -> Iterator[tuple[Place, Part]]:
    """Every part of exactly this class, and the way to it."""
    if type(value) is wanted:
        yield way, value
    if isinstance(value, Part):
        for name in type(value).model_fields:
            yield from places(getattr(value, name), wanted, (*way, name))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from places(item, wanted, (*way, i))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, wanted, (*way, key))


def changed(value: Any, way: Place, name: str, new: Any) -> Any:
    """The same tree of parts with one field of the part at the end of the way changed."""
    if not way:
        return value.but(**{name: new})
    head, rest = way[0], way[1:]
    if isinstance(value, Part):
        return value.but(**{head: changed(getattr(value, head), rest, name, new)})
    if isinstance(value, dict):
        return {**value, head: changed(value[head], rest, name, new)}
    return [*value[:head], changed(value[head], rest, name, new), *value[head + 1:]]


def acts(aspect: str, before: View, after: View) -> bool:
    """True if what the field declares has changed."""
    if aspect == "graph":
        return not same(before.graph, after.graph)
    if aspect == "data":
        return not same(before.data, after.data) or not same(before.corrupted(before.batch()), after.corrupted(before.batch()))
    if aspect == "evaluation":
        return before.picture != after.picture or before.answers != after.answers
    if aspect == "training":
        return not same(before.trained, after.trained)
    look = View.losses if aspect == "loss" else View.gradients
    return not same(look(before, before.weights, before.batch()), look(after, before.weights, before.batch()))


def strays(aspect: str, before: View, after: View, knob: Knob) -> list[str]:
    """What has changed although the field does not declare it."""
    found = [] if aspect == "data" or same(before.data, after.data) else ["data"]
    if aspect == "graph":
        return found + unrelated_weights_stay(before.plan, after.plan)
    if aspect == "data" and types(before) != types(after):
        return found                             # another type of data asks for another model
    if not same(before.graph, after.graph):
        return [*found, "graph"]
    if knob.part is not Train or knob.name != "seed":
        found += [name for name in before.weights if not same(before.weights[name], after.weights[name]) and not shaped(name, knob, before)]
    if aspect in ("loss", "training", "evaluation") and not _same_reconstruction(before, after):
        found.append("reconstruction")
    if aspect == "evaluation" and (acts("loss", before, after) or acts("gradient", before, after)):
        found.append("learning")
    return found


def types(view: View) -> Any:
    """What the model must know of the data."""
    return view.info.value, view.info.target, view.info.classes


def _same_reconstruction(before: View, after: View) -> bool:
    return same(before.reconstruction(before.weights, before.batch()), after.reconstruction(before.weights, before.batch()))


def shaped(weight: str, knob: Knob, view: View) -> bool:
    """True for weights that are drawn to suit the very activation that was changed (He et al., 2015)."""
    node = next((node for node in view.plan.nodes() if node.path == weight.rpartition(".")[0]), None)
    return node is not None and type(getattr(node.part, "activation", None)) is knob.part


def hold(knob: Knob, tried: Trials) -> None:
    """The law for one knob: some context shows that it acts, and there nothing else has changed."""
    wrong = dead_or_stray(knob, tried)
    assert not wrong, f"{knob}: {wrong}"


def dead_or_stray(knob: Knob, tried: Trials) -> str:
    """What is wrong with a number, or nothing."""
    if knob.affects not in DECLARED:
        return f"the field declares no `affects`: one of {', '.join(sorted(DECLARED))}"
    legal = False
    for before, after, place in tried.changes(knob):
        legal = True
        if acts(knob.affects, before, after):
            stray = strays(knob.affects, before, after, knob)
            return f"at {'.'.join(map(str, place))} it affects {knob.affects}, but changed {', '.join(stray[:5])}" if stray else ""
    return f"no other value changes {knob.affects}" if legal else "no example has another value for it: give its part one"


def unrelated_weights_stay(first: Plan, second: Plan) -> list[str]:
    """Names of weights that differ although their node's row is the same in both plans."""
    before, after = rows(first), rows(second)
    same = {path for path in before if before[path] == after.get(path)}
    old, new = build(first).state_dict(), build(second).state_dict()
    return [name for name in old if name.rpartition(".")[0] in same and not equal(old[name], new.get(name))]


def rows(plan: Plan) -> dict[str, Any]:
    """What decides how the weights of each node are drawn."""
    return {node.path: (node.kind, node.input, node.output, str(node.args), node.weights, node.init)
            for node in plan.nodes() if node.weights}


def equal(a: Tensor, b: Tensor | None) -> bool:
    """To the last bit."""
    return b is not None and a.shape == b.shape and torch.equal(a, b)
