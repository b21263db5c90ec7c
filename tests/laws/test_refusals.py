"""A spec that is refused says where: the refusal points at the field that was broken."""

from __future__ import annotations

from broken import Broken, bad_values, bad_words
from hypothesis import given
from hypothesis import strategies as st
from models import fine

from aebuild.compile.front import load
from specs import specs

TRIALS = 6


@given(specs(), st.data())
def test_a_wrong_value_is_blamed(text: str, choices: st.DataObject) -> None:
    spec = fine(text).spec
    assert spec is not None
    every = bad_values(text, spec)
    for broken in choices.draw(st.lists(st.sampled_from(every), min_size=1, max_size=TRIALS)):
        blamed(broken)


@given(specs(), st.data())
def test_an_unknown_word_is_blamed(text: str, choices: st.DataObject) -> None:
    fine(text)
    for broken in choices.draw(st.lists(st.sampled_from(bad_words(text)), min_size=1, max_size=TRIALS)):
        blamed(broken)


def blamed(broken: Broken) -> None:
    """Refused, with an error that points into the broken stretch, and with no plan."""
    loaded = load("generated.yaml", text=broken.text)
    assert loaded.errors, f"{broken.what} passes\n{broken.text}"
    assert loaded.plan is None
    told = [f"{d.code} {d.span}: {d.message}" for d in loaded.errors]
    assert any(broken.blamed_by(found) for found in loaded.errors), f"{broken.what}: {told}\n{broken.text}"
