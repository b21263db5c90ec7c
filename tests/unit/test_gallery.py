"""The gallery: every spec stands in it, and every model that other tools name has one."""

from __future__ import annotations

import pytest

from aebuild.results.gallery import ELSEWHERE, FAMILIES, exhibits, gallery
from aebuild.results.shipped import shipped


def test_every_spec_stands_in_it_once_with_a_sentence() -> None:
    page = gallery().partition("## What other tools name")[0]
    for each in exhibits():
        assert each.family in FAMILIES
        assert page.count(f"| [`{each.name}`]") == 1 and len(each.told) > 20
    assert {each.name for each in exhibits()} == set(shipped())


@pytest.mark.parametrize("tool", ELSEWHERE)
def test_every_model_of_another_tool_has_a_spec(tool: str) -> None:
    like = {found for each in exhibits() for found in each.like}
    assert [model for model in ELSEWHERE[tool] if (tool, model) not in like] == []


def test_a_comment_names_only_models_that_are_listed() -> None:
    for each in exhibits():
        assert [model for tool, model in each.like if model not in ELSEWHERE[tool]] == [], each.name
