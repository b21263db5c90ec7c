"""Terms: what a raw one amounts to, of the batch and of each sample."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from aebuild.lang.terms import AUTOENCODER, Bound, Term, TermPlan


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2)], ids=str)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_term_is_the_mean_of_what_it_is_for_each_sample(shape: tuple[int, ...], reduction: str) -> None:
    raw = torch.arange(1.0, 1 + torch.Size(shape).numel()).view(shape)
    term, divisor = Term(reduction=reduction), 6 if reduction == "mean" else 1            # type: ignore[arg-type]
    samples = term.by_sample(raw, 6)
    assert samples.tolist() == pytest.approx([float(row.sum()) / divisor for row in raw])
    assert term.reduce(raw, 6).item() == pytest.approx(float(samples.mean()))


def test_a_scalar_stays() -> None:
    assert Term().reduce(torch.tensor(3.0), 6) == 3
    assert Term(reduction="mean").reduce(torch.tensor(3.0), 6) == 0.5


def test_a_bound_says_which_term_it_misses() -> None:
    joining: Any = SimpleNamespace(joined=("reconstruction", "kl"), draws=None)
    there = tuple(TermPlan(name, AUTOENCODER, 1) for name in ("reconstruction", "kl", "sparsity"))
    assert Bound.check(joining, there) is None
    assert Bound.check(joining, there[:1]) == "it combines reconstruction and kl, but no kl is there"
