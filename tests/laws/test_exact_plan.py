"""The plan's types, parameters, buffers, names and MACs are exactly those of the module."""

from __future__ import annotations

import pytest
from hypothesis import given
from models import fine

from aebuild.results.part_laws.exact_plan import compare
from specs import specs


@pytest.mark.slow
@given(specs())
def test_plan_is_exact(text: str) -> None:
    plan = fine(text).plan
    assert plan is not None
    problems = compare(plan)
    assert not problems, "\n".join([*problems, text])
