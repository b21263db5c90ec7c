"""The knob law: every number changes what its field declares, and nothing outside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from contexts import LOCAL, every_example, examples, make_files, plugged
from hypothesis import given, settings
from hypothesis import strategies as st
from knobs import Knob, every_knob, first_values, others
from models import fine, imagined
from test_weights import unrelated_weights_stay
from views import View, same

from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import load
from aebuild.compile.spec import Spec, Train
from aebuild.lang.dataset import Dataset, Known
from aebuild.lang.diagnostics import DivergedError
from aebuild.lang.part import Part
from aebuild.lang.splits import Splits
from aebuild.parts import discover
from aebuild.results.catalogue import every_part
from specs import specs

pytestmark = pytest.mark.slow

discover()
DECLARED = {"graph", "loss", "gradient", "data", "training", "evaluation"}
Place = tuple[Any, ...]                       # the way to a part: names of fields, positions in lists, keys


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    make_files(made)
    return made


class Trials:
    """The contexts over one folder, each seen once."""

    def __init__(self, folder: Path, texts: list[str]) -> None:
        self.folder = folder
        self.views = [self.view(text) for text in texts]

    def view(self, text: str) -> View:
        found = self.view_or_none(text)
        assert found is not None, [d.message for d in load(self.folder / "spec.yaml", text=text).errors]
        return found

    def view_or_none(self, text: str) -> View | None:
        loaded = load(self.folder / "spec.yaml", LOCAL, text=text)
        return View(loaded, self.folder) if loaded.plan is not None and not loaded.errors else None

    def changes(self, knob: Knob) -> Iterator[tuple[View, View, Place]]:
        """The context before and after, for every other value that some context can have there."""
        found = [(view, place, part) for view in self.views for place, part in places(view.plan.spec, knob.part)]
        for view, place, part in sorted(found, key=lambda each: knob.name not in each[2]._origin.fields):      # written ones first
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


# --------------------------------------------------------------------------------------------------------------- what changes


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


# ------------------------------------------------------------------------------------------------------------------- the law


@pytest.fixture(autouse=True)
def _memory_for_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs that are compared need not survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@cache
def trials(folder: Path) -> Trials:
    return Trials(folder, every_example())


def hold(knob: Knob, tried: Trials) -> None:
    """The law for one knob: some context shows that it acts, and there nothing else has changed."""
    assert knob.affects in DECLARED, f"{knob} does not declare what it affects"
    legal = False
    for before, after, place in tried.changes(knob):
        legal = True
        if acts(knob.affects, before, after):
            stray = strays(knob.affects, before, after, knob)
            assert not stray, f"{knob} at {place} affects {knob.affects}, but changed {stray[:5]}"
            return
    assert legal, f"{knob} stands in no example: give its part one"
    raise AssertionError(f"{knob} is dead: no other value changes {knob.affects}")


def shared(knob: Knob) -> bool:
    """True for a number of a published data set that it shares with data at hand."""
    own = knob.part.__dict__.get("__annotations__", {})
    return issubclass(knob.part, Known) and knob.name not in own


@pytest.mark.parametrize("knob", [knob for knob in every_knob() if not shared(knob) and not plugged(knob.part)], ids=str)
def test_a_number_is_alive(knob: Knob, folder: Path) -> None:
    hold(knob, trials(folder))


@cache
def published(folder: Path) -> Trials:
    return Trials(folder, examples(part for part in every_part() if issubclass(part, Known)))


@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") != "long", reason="reads whole published sets; HYPOTHESIS_PROFILE=long does")
@pytest.mark.parametrize("knob", [knob for knob in every_knob() if shared(knob)], ids=str)
def test_a_number_of_a_published_set_is_alive(knob: Knob, folder: Path, real_data: Path) -> None:
    hold(knob, published(folder))


# ------------------------------------------------------------------------------------------------------ generated specs


# thresholds that nothing may come near, terms that may be 0, ramps that a few steps do not walk, dropout in front of a dead rectifier,
# the slope below zero of data that are never below zero
SATURATES = {"LeakyReLU.negative_slope", "Restart.below", "KlTerm.free_bits", "CommitmentTerm.weight", "Ramp.start", "Ramp.to", "Ramp.over", "Train.clip", "Dropout.rate"}
KNOBS = {(knob.part, knob.name): knob for knob in every_knob()}


@settings(max_examples=40)
@given(specs(), st.data())
def test_a_number_of_a_generated_spec_is_alive(text: str, choices: st.DataObject) -> None:
    loaded = fine(text)
    spec = loaded.spec
    assert spec is not None
    found = written(spec)
    if not found or any(diagnostic.code == "AE213" for diagnostic in loaded.diagnostics):
        return
    place, part, knob = choices.draw(st.sampled_from(found))
    before, tried = Imagined(loaded, Path()), []
    if knob.name == "weight" and place[:2] == ("losses", "terms") and before.vanishes(place[2]):
        return                                   # a factor of exactly 0, such as the KL behind dead rectifiers
    for new in others(getattr(part, knob.name))[:3]:
        changed_spec = load("generated.yaml", text=canonical(changed(spec, place, knob.name, new)))
        if changed_spec.plan is None or changed_spec.errors:
            continue
        after = Imagined(changed_spec, Path())
        try:
            acted = acts(knob.affects, before, after)
        except DivergedError:                    # a training that ends in NaN is told as such and compares with none
            continue
        tried.append(new)
        if acted:
            assert not strays(knob.affects, before, after, knob), f"{knob} at {place}: {getattr(part, knob.name)} to {new}\n{text}"
            return
    assert not tried, f"{knob} at {place} is dead: {getattr(part, knob.name)} to {tried}\n{text}"


class Imagined(View):
    """A view of a spec whose data do not exist: random samples of the types it declares."""

    @cached_property
    def splits(self) -> Splits:
        return imagined(self.info, self.plan)


def written(spec: Spec) -> list[tuple[Place, Part, Knob]]:
    """Every number that stands in the text, data apart."""
    return [(place, part, knob) for kind in dict.fromkeys(part for part, _ in KNOBS) if not issubclass(kind, Dataset) for place, part in places(spec, kind)
            if "data" not in place for name in part._origin.fields if (knob := KNOBS.get((kind, name))) is not None
            and f"{kind.__name__}.{name}" not in SATURATES and others(getattr(part, name))]
