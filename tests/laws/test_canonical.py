"""One canonical form: expanding twice changes nothing, and a spec's text read again is the spec."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hypothesis import given
from hypothesis import strategies as st
from models import fine

from aebuild.compile.canonical import text as canonical
from aebuild.compile.desugar import lengthen
from aebuild.compile.front import load
from aebuild.compile.planner import resolve_decoder
from aebuild.lang.source import read
from specs import specs


@given(specs())
def test_lengthening_twice_changes_nothing(text: str) -> None:
    tree, found = read(text, "generated.yaml")
    assert tree is not None and not found
    long = lengthen(tree, lambda path, *_: "arrays")
    assert lengthen(long, lambda path, *_: "arrays") == long


@given(specs())
def test_canonical_text_is_the_spec(text: str) -> None:
    first = fine(text)
    assert first.spec is not None and first.plan is not None
    written = canonical(first.spec)
    again = fine(written)
    assert again.spec == first.spec, f"{text}\n---\n{written}"
    assert canonical(again.spec) == written
    assert again.plan is not None
    assert again.plan.to_json() == first.plan.to_json()
    assert json.loads(json.dumps(first.plan.to_json())) == json.loads(json.dumps(again.plan.to_json()))


@given(specs())
def test_a_resolved_decoder_is_the_same_model(text: str) -> None:
    """What `aebuild show` prints: the mirror written out as the layers it stands for."""
    first = fine(text)
    assert first.spec is not None and first.plan is not None
    again = fine(canonical(first.spec.but(decoder=resolve_decoder(first.spec))))
    assert again.plan is not None
    assert again.plan.to_json() == first.plan.to_json(), text


@given(specs(), st.data())
def test_a_spec_in_two_files_is_the_spec(text: str, choices: st.DataObject) -> None:
    whole = fine(text)
    tree = yaml.safe_load(text)
    above = choices.draw(st.sets(st.sampled_from(sorted(set(tree) - {"data"}))))
    with TemporaryDirectory() as folder:
        base, child = Path(folder, "base.yaml"), Path(folder, "child.yaml")
        base.write_text(yaml.safe_dump({key: value for key, value in tree.items() if key not in above}))
        child.write_text(yaml.safe_dump({"extends": "base.yaml"} | {key: value for key, value in tree.items() if key in above}))
        joined = load(child)
    assert not joined.errors, [d.message for d in joined.errors]
    assert joined.spec == whole.spec
