"""What a player minimises: weighted terms, terms that a bound joins, samples that count differently, batches in parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.trainer.lr import Clock
from aebuild.trainer.objective import BOUND, Objective
from aebuild.trainer.players import Forward, joined

TERMS = [TermPlan("reconstruction", AUTOENCODER, 6, Term(weight=3.0)), TermPlan("kl", AUTOENCODER, 2, Term(weight=2.0)),
         TermPlan("sparsity", AUTOENCODER, 2, Term(weight=0.5))]
RECONSTRUCTION, KL, SPARSITY = torch.tensor([1.0, 2.0, 3.0, 5.0]), torch.tensor([[0.5, 1.0], [0.0, 1.0], [2.0, 1.0], [1.0, 1.0]]), torch.tensor(7.0)
RAW = {"reconstruction": RECONSTRUCTION, "kl": KL, "sparsity": SPARSITY}


def squares(terms: dict[str, torch.Tensor]) -> torch.Tensor:
    """A bound that is no sum: the mean over the draws of the squared sum of the terms, [N]."""
    return torch.stack(list(terms.values())).sum(0).square().mean(1)


def test_without_a_bound_it_is_the_weighted_sum() -> None:
    objective = Objective(TERMS, Clock(1, 10))
    reduced = objective.reduced(RAW, 0)
    expected = 3 * RECONSTRUCTION.mean() + 2 * KL.sum(1).mean() + 0.5 * SPARSITY
    assert set(reduced) == {"reconstruction", "kl", "sparsity"}
    torch.testing.assert_close(objective.loss(reduced, 0), expected)
    means = {name: float(value) for name, value in reduced.items()}
    assert objective.now(means, 0) == objective.score(means) == pytest.approx(float(expected))


def test_a_bound_joins_its_terms_sample_by_sample_with_their_weights() -> None:
    bound: Any = SimpleNamespace(joined=("reconstruction", "kl"), beside=(), balances=False, build_bound=lambda: squares)
    objective = Objective(TERMS, Clock(1, 10), bound)
    reduced = objective.reduced(RAW, 0, draws=2)
    rows = (3 * RECONSTRUCTION + 2 * KL.sum(1)).view(2, 2)
    torch.testing.assert_close(reduced[BOUND], rows.square().mean())
    torch.testing.assert_close(objective.loss(reduced, 0), rows.square().mean() + 0.5 * SPARSITY)
    means = {name: float(value) for name, value in reduced.items()}
    assert objective.now(means, 0) == objective.score(means) == pytest.approx(float(rows.square().mean() + 0.5 * SPARSITY))


def test_a_bound_whose_terms_are_another_players_joins_nothing() -> None:
    bound: Any = SimpleNamespace(joined=("reconstruction", "kl"), beside=(), balances=False, build_bound=lambda: squares)
    objective = Objective(TERMS[2:], Clock(1, 10), bound)
    reduced = objective.reduced(RAW, 0)
    assert set(reduced) == {"sparsity"}
    assert objective.loss(reduced, 0) == objective.now({"sparsity": 7.0}, 0) == 3.5


def test_samples_count_by_their_weights() -> None:
    weights = torch.tensor([1.0, 3.0])
    reduced = Objective(TERMS, Clock(1, 10)).reduced(RAW, 0, draws=2, weights=weights)
    by_row = torch.tensor([1.0, 1.0, 3.0, 3.0])
    torch.testing.assert_close(reduced["reconstruction"], (by_row * RECONSTRUCTION).mean())
    torch.testing.assert_close(reduced["kl"], (by_row * KL.sum(1)).mean())
    assert reduced["sparsity"] == SPARSITY


def test_the_parts_of_a_batch_add_up() -> None:
    parts = [Forward(torch.tensor(loss, requires_grad=True), ("a", "b"), [torch.tensor(loss), torch.tensor(10 * loss)], {}) for loss in (1.0, 2.0, 4.0)]
    whole = joined(parts)
    assert whole.loss == 7
    assert not whole.loss.requires_grad
    assert [float(value) for value in whole.values] == [7, 70]
    assert whole.names == ("a", "b")
