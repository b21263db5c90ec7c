"""Dropout: how much it drops, what it keeps, when it rests."""

from __future__ import annotations

import pytest
import torch

from aebuild.modules.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_a_share_is_dropped_and_the_rest_keeps_the_mean(rate: float) -> None:
    dropout = Dropout(rate)
    dropout.reseed(0)
    y = dropout(torch.full((4, 50_000), 3.0))
    assert (y == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    torch.testing.assert_close(y[y != 0], torch.full((int((y != 0).sum()),), 3 / (1 - rate)))


def test_the_seed_decides_and_evaluation_drops_nothing() -> None:
    dropout, x = Dropout(0.5), torch.ones(3, 8)
    dropout.reseed(1)
    first, second = dropout(x), dropout(x)
    dropout.reseed(1)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x
