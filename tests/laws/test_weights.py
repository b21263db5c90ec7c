"""Weights depend on the seed and the path alone: the same each time, and no node disturbs another."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from models import fine

from aebuild.compile.build import build
from aebuild.compile.canonical import plain
from aebuild.compile.front import load
from aebuild.lang.emit import emit
from aebuild.results.part_laws.alive import unrelated_weights_stay
from specs import specs


@given(specs())
def test_a_seed_is_a_model(text: str) -> None:
    plan = fine(text).plan
    assert plan is not None
    torch.manual_seed(1)
    first = build(plan).state_dict()
    torch.manual_seed(2)
    drawn = torch.get_rng_state()
    second = build(plan).state_dict()
    assert torch.equal(torch.get_rng_state(), drawn), "building disturbed torch's own random numbers"
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build(plan, seed=plan.spec.train.seed + 1).state_dict()
    drawn_names = [name for name in first if first[name].numel() > 4 and first[name].is_floating_point() and len(first[name].unique()) > 2]
    assert all(not torch.equal(first[name], other[name]) for name in drawn_names)


@given(specs(), st.data())
def test_a_width_concerns_its_neighbours_only(text: str, choices: st.DataObject) -> None:
    """Nodes whose row of the plan stays as it is keep their weights to the last bit."""
    first = fine(text)
    assert first.spec is not None and first.plan is not None
    tree = plain(first.spec)
    places = widths(tree)
    if not places:
        return
    holder, key = choices.draw(st.sampled_from(places))
    holder[key] += choices.draw(st.sampled_from((1, 2, 4)))
    second = load("generated.yaml", text=emit(tree)).plan
    if second is None:
        return                                  # the new width may not divide by groups or heads
    assert unrelated_weights_stay(first.plan, second) == [], text


def widths(tree: Any) -> list[tuple[Any, Any]]:
    """Every whole number in the tree that is a width or a code's dim, as (where it stands, key)."""
    found: list[tuple[Any, Any]] = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        if key in ("width", "dim", "linear", "conv", "lstm", "gru", "rnn") and isinstance(value, int):
            found.append((tree, key))
        found += widths(value)
    return found
