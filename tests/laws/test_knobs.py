"""The knob law: every number changes what its field declares, and nothing outside it."""

from __future__ import annotations

import inspect
import os
from functools import cache, cached_property
from pathlib import Path

import pytest
from contexts import every_example, examples, make_files, plugged
from hypothesis import given, settings
from hypothesis import strategies as st
from models import fine, imagined

from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import load
from aebuild.compile.spec import Spec
from aebuild.lang.dataset import Dataset, Known
from aebuild.lang.diagnostics import DivergedError
from aebuild.lang.part import Part
from aebuild.lang.splits import Splits
from aebuild.parts import discover
from aebuild.results.catalogue import every_part
from aebuild.results.part_laws.alive import Place, Trials, acts, changed, hold, places, strays
from aebuild.results.part_laws.knobs import Knob, every_knob, others
from aebuild.results.part_laws.views import View
from specs import specs

pytestmark = pytest.mark.slow

discover()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    make_files(made)
    return made


# ------------------------------------------------------------------------------------------------------------------- the law


@pytest.fixture(autouse=True)
def _memory_for_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs that are compared need not survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@cache
def trials(folder: Path) -> Trials:
    return Trials(folder, every_example())


def shared(knob: Knob) -> bool:
    """True for a number of a published data set that it shares with data at hand."""
    own = inspect.get_annotations(knob.part)
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
# the slope below zero of data that are never below zero, shares of a few channels that are one channel each
SATURATES = {"SqueezeExcitation.ratio", "InvertedResidual.squeeze", "LeakyReLU.negative_slope", "Restart.below", "KlTerm.free_bits", "CommitmentTerm.weight", "Ramp.start", "Ramp.to", "Ramp.over", "Train.clip", "Dropout.rate"}
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
