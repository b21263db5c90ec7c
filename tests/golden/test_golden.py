"""The shipped specs: their plans, their diagnostics, their comments, their schema; and the generated pages."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from aebuild.compile.annotations import fields
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import load
from aebuild.compile.losses import provided_terms, shape_of_term
from aebuild.compile.schema import schema
from aebuild.results.catalogue import every_part, every_rule

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def module_at(path: Path):
    """A script as a module, whatever its folder."""
    spec = importlib.util.spec_from_file_location(f"script_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = module_at(HERE / "update.py")
SPECS = golden.files()
names = {"argvalues": SPECS, "ids": [str(spec.relative_to(golden.SPECS)) for spec in SPECS]}


class Core(yaml.SafeLoader):
    """Scalars as the spec language reads them: `1e-3` is a number, `on` a word."""


Core.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789"))
for letter in "oO":
    Core.yaml_implicit_resolvers.pop(letter)


def read(text: str):
    return yaml.load(text, Core)  # noqa: S506  # a SafeLoader


@pytest.fixture(scope="module")
def validator():
    found = schema()
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


@pytest.mark.parametrize("spec", **names)
def test_the_plan_is_the_kept_one(spec, real_data):
    assert golden.plan_text(load(spec).require()) == golden.golden_file(spec).read_text(encoding="utf-8")


def test_no_plan_is_kept_of_a_spec_that_is_gone():
    assert {golden.golden_file(spec) for spec in SPECS} == set(HERE.glob("*.txt"))


@pytest.mark.parametrize("spec", **names)
def test_a_shipped_spec_has_no_findings(spec, real_data):
    assert [str(finding) for finding in load(spec).diagnostics] == []


@pytest.mark.parametrize("spec", **names)
def test_a_shipped_spec_begins_with_the_modeline_and_names_its_source(spec):
    lines = spec.read_text(encoding="utf-8").splitlines()
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", lines[0])
    assert named
    assert (spec.parent / named[1]).resolve() == ROOT / "docs" / "schema.json"
    comment = " ".join(line for line in lines[1:] if line.startswith("#"))
    if spec.parent.name == "bakeoff":
        return                                  # a few lines over a shared base: the family's own spec names the paper
    assert re.search(r"(19|20)\d\d", comment), "a spec names its paper and year"


@pytest.mark.parametrize("spec", **names)
def test_the_schema_takes_the_spec_and_its_canonical_form(spec, validator, real_data):
    loaded = load(spec)
    for text in (spec.read_text(encoding="utf-8"), canonical(loaded.spec)):
        problems = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(read(text))]
        assert problems == []


@pytest.mark.parametrize(("right", "wrong"), [
    ("{layer: linear, width: 8}", "{layer: linear, widht: 8}"), ("{layer: conv, width: 8}", "{layer: convv, width: 8}"),
    ("[linear: 8]", "[linaer: 8]"), ("[conv: {width: 8, kernel: 3}]", "[conv: {width: 8, kernle: 3}]"),
    ("{layer: linear, width: 8}", "{layer: linear, width: eight}"), ("{layer: linear, width: 8}", "{layer: linear, width: 0}"),
])
def test_the_schema_refuses_a_slip_in_a_stage(right, wrong, validator):
    for stage, fine in ((right, True), (wrong, False)):
        assert validator.is_valid(read(f"encoder: {stage}\nlatent: {{type: continuous, dim: 4}}\n")) is fine


@pytest.mark.parametrize("wrong", ["latnet: {type: continuous, dim: 4}", "latent: {type: continous, dim: 4}", "latent: {dim: 4}",
                                   "train: {ephocs: 4}", "train: {optimizer: {type: adma}}", "train: {optimizer: {type: adam, rl: 1}}",
                                   "losses: {reconstruction: bernouli}", "data: {type: mnist, szie: 3}", "corrupt: [gausian: {std: 1}]",
                                   "train: {keep: newest}", "decoder: miror", "name: 3"])
def test_the_schema_refuses_misspelt_keys_and_names(wrong, validator):
    assert not validator.is_valid(read(wrong))


@pytest.mark.parametrize("name", sorted(provided_terms()))
def test_the_schema_takes_the_terms_of_levels_as_the_compiler_does(name, validator):
    """Whatever may be said of a term may be said of it in each level, and nothing else."""
    assert shape_of_term(f"{name}_12") == shape_of_term(name)
    options = [0.5, *({option: value} for option in fields(shape_of_term(name).part) for value in (0.5, 3, True, "nonsense", {"to": 1})),
               {"wieght": 1}]
    fine = [option for option in options if validator.is_valid({"losses": {name: option}})]
    for level in (0, 1, 12):
        assert [option for option in options if validator.is_valid({"losses": {f"{name}_{level}": option}})] == fine
    assert 0.5 in fine and {"wieght": 1} not in fine


generate = module_at(ROOT / "docs" / "generate.py")


@pytest.fixture(scope="module")
def pages():
    """The pages that are made from the code, by name."""
    return generate.pages()


def test_the_pages_are_made_and_kept_out_of_git(pages, tmp_path, monkeypatch):
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    monkeypatch.setattr(generate, "HERE", tmp_path)
    generate.main()
    made = {f"docs/{path.name}{'/' if path.is_dir() else ''}" for path in tmp_path.iterdir()}
    assert made == {f"docs/{name.partition('/')[0]}{'/' if '/' in name else ''}" for name in pages} <= set(ignored)
    assert json.loads((tmp_path / "schema.json").read_text(encoding="utf-8")) == schema()


def test_the_pages_tell_every_part_and_every_rule(pages):
    for part in every_part():
        first = " ".join(part.__doc__.split("\n\n")[0].split())
        assert f"### `{part.variant_name()}`\n" in pages["reference.md"] or part.variant_name() is None
        assert first in pages["reference.md"]
    assert all(f"\n## {code}\n" in pages["diagnostics.md"] for code in every_rule())
    assert {name for name in pages if "/" in name} == {f"parts/{part.family}/{part.variant_name()}.md" for part in every_part()
                                                       if part.variant_name() is not None}


DOCUMENTS = sorted([*(path for path in (ROOT / "docs").rglob("*.md") if path.parent.parent.name != "parts"), ROOT / "README.md"])


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.name not in generate.NAMES], ids=lambda path: path.stem)
def test_links_lead_somewhere(document, pages):
    text = re.sub(r"^(`{3,})[^`\n]*\n.*?^\1$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        made = pages.get(place.name) if place.parent == ROOT / "docs" else None
        assert made is not None or place.exists(), target
        if anchor:
            page = made if made is not None else place.read_text(encoding="utf-8")
            assert anchor in {_anchor(line) for line in page.splitlines() if line.startswith("#")}, target


def _anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower()).replace(" ", "-")


def test_an_installed_package_brings_the_schema_its_specs_point_to(tmp_path, monkeypatch, capsys):
    """The build's step is run as setuptools runs it, into a folder that stands for the installation."""
    done = subprocess.run([sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "lib")], cwd=ROOT,
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    package = tmp_path / "lib" / "aebuild"
    for spec in (package / "specs").rglob("*.yaml"):
        pointed = re.search(r"\$schema=(\S+)", spec.read_text(encoding="utf-8").splitlines()[0])[1]
        assert (spec.parent / pointed).resolve() == package / "docs" / "schema.json"
    printed = subprocess.run([sys.executable, "-m", "aebuild", "schema"], cwd=tmp_path / "lib", capture_output=True, text=True,
                             env={**os.environ, "PYTHONPATH": str(tmp_path / "lib")}, timeout=120, check=True).stdout
    assert printed == (package / "docs" / "schema.json").read_text(encoding="utf-8") == generate.schema_text()


def test_the_first_command_of_the_readme_makes_what_specs_point_to():
    told = subprocess.run(["make", "-n", "-W", "docs/generate.py", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    lines = told.splitlines()
    assert next(i for i, line in enumerate(lines) if "docs/generate.py" in line) < next(i for i, line in enumerate(lines) if "aebuild train" in line)
