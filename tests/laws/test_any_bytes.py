"""Any bytes given to validation end in diagnostics, and none takes a second; `benchmarks/fuzz_bytes.py` is the long form."""

from __future__ import annotations

import time
from functools import cache

import pytest
from generation.inputs import ROOT, numbered, real_specs
from hypothesis import given
from hypothesis import strategies as st

from aebuild.compile.front import load
from aebuild.lang.render import render

LIMIT = 1.0         # seconds of the processor


@cache
def corpus() -> list[bytes]:
    return real_specs(60)


def survived(data: bytes) -> None:
    """A plan or an error, told in every form, within the limit."""
    began = time.process_time()
    loaded = load(ROOT / "specs" / "fuzz.yaml", text=data)
    assert time.process_time() - began < LIMIT
    assert loaded.errors or loaded.plan is not None
    for form in ("people", "json", "concise"):
        assert render(loaded.diagnostics, form) or not loaded.diagnostics


@given(st.binary(max_size=300))
def test_noise_is_refused(data: bytes) -> None:
    survived(data)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1000, 100))
def test_damaged_and_hostile_specs_are_survived(start: int) -> None:
    for number in range(start, start + 100):
        kind, data = numbered(number, corpus())
        print(f"input {number} ({kind}): {data!r}")        # shown where the test fails
        survived(data)
