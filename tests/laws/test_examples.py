"""A part's own example is a spec with that part in it, and the laws hold for it: a part needs no second file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from contexts import LOCAL, downloaded, make_files, own_example, plugged, specs_of
from jsonschema import Draft202012Validator
from models import samples, turns

from aebuild.compile.build import build
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import Loaded, load
from aebuild.compile.plugins import load_plugins, within
from aebuild.compile.schema import schema
from aebuild.lang.part import Part
from aebuild.results.catalogue import every_part, parts_called
from aebuild.results.part_laws.exact_plan import compare
from aebuild.results.reference import page_of, reference

GUIDE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")


def every_class() -> list[type[Part]]:
    """Every part that a spec can name, adapters too, which are named by their word alone."""
    return list(dict.fromkeys([*every_part(), *(cls for family in Part.families.values() for cls in family.variants.values())]))


PARTS = every_class()
REAL = [part for part in PARTS if downloaded(part)]


class Core(yaml.SafeLoader):
    """Scalars as the spec language reads them: `1e-3` is a number."""


Core.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Files of every kind, among them a made-up set of heartbeats."""
    made = tmp_path_factory.mktemp("data")
    make_files(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEBUILD_DATA", str(made))
        yield made


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def loaded_examples(part: type[Part], folder: Path) -> list[tuple[str, Loaded]]:
    return [(text, load(folder / "spec.yaml", LOCAL, text=text)) for text in specs_of(own_example(part))]


def hold(part: type[Part], folder: Path, validator: Draft202012Validator) -> None:
    """The law for one part, a plug-in's as well."""
    assert own_example(part), f"{part.__name__} has no example"
    for text, loaded in loaded_examples(part, folder):
        assert [str(found) for found in loaded.diagnostics] == [], text
        spec, plan, info = loaded.spec, loaded.plan, loaded.info
        assert spec is not None and plan is not None and info is not None
        standing = {type(each) for each in (*within(spec), *(node.part for node in plan.nodes()))}
        assert part in standing, f"{part.__name__} does not stand in its example\n{text}"
        assert list(validator.iter_errors(yaml.load(text, Core))) == [], text  # noqa: S506
        again = load(folder / "spec.yaml", text=canonical(spec))
        assert again.spec == spec
        assert compare(plan) == []
        model = build(plan)
        for turn in turns(plan, model, samples(info, plan, 12)):
            assert torch.isfinite(turn.loss)
            assert all(gradient is None or torch.isfinite(gradient).all() for gradient in turn.gradients.values())


@pytest.mark.parametrize("part", [part for part in PARTS if part not in REAL and not plugged(part)], ids=lambda part: f"{part.family}-{part.__name__}")
def test_an_example_is_a_spec_that_the_laws_hold_for(part, folder, validator):
    hold(part, folder, validator)


@pytest.mark.parametrize("part", REAL, ids=lambda part: part.__name__)
def test_an_example_over_a_published_set(part, tmp_path, validator, real_data):
    hold(part, tmp_path, validator)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.family}-{part.__name__}")
def test_explain_prints_the_example(part):
    assert own_example(part).strip() in page_of(part)
    assert part in parts_called(part.variant_name() or part.__name__)


def test_the_reference_has_every_example():
    page = reference()
    assert [part for part in PARTS if f"```yaml\n{own_example(part).strip()}\n```" not in page] == []


def test_a_plugin_is_held_to_the_same_law_without_an_edit(tmp_path, folder):
    """It is in the walk of the parts, so that each law over parts has it too."""
    (tmp_path / "gated.py").write_text(re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[0])
    plugin, = load_plugins([tmp_path / "gated.py"])
    try:
        assert set(plugin.parts) <= set(every_part())
        for part in plugin.parts:
            hold(part, folder, Draft202012Validator(schema()))
    finally:
        plugin.take_back()
    assert not set(plugin.parts) & set(every_part())
