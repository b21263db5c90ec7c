"""Whole numbers as large as they may be, and larger, end in diagnostics and not in a crash."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broken import replaced
from contexts import among_files, every_example

from aebuild.compile.bind import LARGEST
from aebuild.compile.front import load
from aebuild.lang.source import read
from aebuild.lang.tree import Tree


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A working directory with the files that the specs name."""
    with among_files(tmp_path_factory.mktemp("files")):
        yield


def wholes(tree: Tree) -> list[Tree]:
    """Every whole number of a spec."""
    if isinstance(tree.value, dict):
        return [whole for child in tree.value.values() for whole in wholes(child)]
    if isinstance(tree.value, tuple):
        return [whole for child in tree.value for whole in wholes(child)]
    return [tree] if isinstance(tree.value, int) and not isinstance(tree.value, bool) else []


@pytest.mark.parametrize("text", every_example(), ids=range(len(every_example())))
def test_no_whole_number_is_too_large_to_be_refused(text, files):
    tree, _ = read(text, "generated.yaml")
    assert tree is not None
    for whole in wholes(tree):
        for number in (LARGEST, 2**62):
            broken = replaced(text, whole.span, str(number), f"{whole.span} = {number}")
            loaded = load("generated.yaml", text=broken.text)
            assert all(found.message for found in loaded.diagnostics), broken.what
