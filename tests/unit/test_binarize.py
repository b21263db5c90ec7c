"""Images as zeros and ones: drawn once, the same for the same image, or anew for each time that they are trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.binarize import zeros_and_ones
from aebuild.lang.samples import Where
from aebuild.lang.splits import Scaling, Splits
from aebuild.modules import coins
from aebuild.trainer.batches.loader import SplitLoader

SPEC = "data: {{type: digits, binarize: {how}}}\nencoder: [linear: 8]\nlatent: {{type: continuous, dim: 3}}\nlosses: {{reconstruction: bernoulli}}\n"


def read(how: str) -> Splits:
    return load_splits(load("spec.yaml", text=SPEC.format(how=how)).require().spec.data, Where(Path()))


def test_a_static_draw_has_the_shares_and_is_the_samples_own() -> None:
    shares = np.random.default_rng(0).random((3000, 20), np.float32)
    drawn = zeros_and_ones(shares)
    assert set(np.unique(drawn)) == {0, 1}
    for level in np.arange(0, 1, 0.1):
        near = (shares >= level) & (shares < level + 0.1)
        assert drawn[near].mean() == pytest.approx(shares[near].mean(), abs=0.03)
    assert abs(np.corrcoef((drawn - shares).T) - np.eye(20)).max() < 0.1                  # elements are drawn by themselves
    np.testing.assert_array_equal(zeros_and_ones(shares[[7, 2]]), drawn[[7, 2]])
    assert not zeros_and_ones(np.zeros((2, 3), np.float32)).any()
    assert zeros_and_ones(np.ones((2, 3), np.float32)).all()


def test_a_draw_of_the_turn() -> None:
    shares = torch.rand(2000, 1, 5, 4)
    rows = torch.arange(2000)
    one, other = (coins.zeros_and_ones(shares, rows, seed) for seed in (1, 2))
    assert set(one.unique().tolist()) == {0.0, 1.0}
    assert (one - shares).mean().abs() < 0.02
    assert ((one - shares) * (other - shares)).mean().abs() < 0.01                        # turns are independent
    torch.testing.assert_close(coins.zeros_and_ones(shares[5:9], rows[5:9], 1), one[5:9])  # whoever computes them
    assert not coins.zeros_and_ones(torch.zeros(2, 3), rows[:2], 0).any()
    assert coins.zeros_and_ones(torch.ones(2, 3), rows[:2], 0).all()


def test_static_data_are_zeros_and_ones_in_bytes() -> None:
    splits, grey = read("static"), read("null")
    for split, before in ((splits.train, grey.train), (splits.test, grey.test)):
        assert set(np.unique(split.x)) == {0, 1}
        assert split.inputs.nbytes == split.x.size
        assert abs(split.x.mean() - before.x.mean()) < 0.01
    assert splits.scaling.coins
    assert Scaling.from_json(splits.scaling.to_json()) == splits.scaling
    raw = splits.scaling.undo(grey.test.x[:5])
    np.testing.assert_array_equal(splits.scaling.apply(raw), splits.test.x[:5])            # new samples are drawn alike
    assert load("spec.yaml", text=SPEC.format(how="static")).info.range.levels == 2  # type: ignore[union-attr]


def test_dynamic_data_are_drawn_anew_in_training_alone() -> None:
    splits, still, grey = read("dynamic"), read("static"), read("null")
    np.testing.assert_array_equal(splits.test.x, still.test.x)
    np.testing.assert_array_equal(splits.train.x, grey.train.x)
    loader = SplitLoader(splits.train, torch.device("cpu"))
    seen = []
    for epoch in (0, 1, 0):
        order = loader.shuffled(3, "main", epoch)
        batch = next(iter(loader.batches(order.split(500))))
        assert set(batch.x.unique().tolist()) == {0.0, 1.0}
        assert batch.target is batch.x
        seen.append((order[:500], batch.x))
    assert torch.equal(seen[0][1], seen[2][1])                                             # a resumed epoch is the same
    by_row = [x[order.argsort()] for order, x in seen]
    assert not torch.equal(by_row[0], by_row[1])
    torch.testing.assert_close(loader.slice(10, 20).x, loader.take(torch.arange(10, 20)).x)


def test_what_is_no_share_is_refused() -> None:
    found = load("spec.yaml", text=SPEC.format(how="static").replace("binarize", "scale: standard, binarize"))
    assert "binarize" in found.errors[0].message
    assert found.errors[0].fix == "scale: unit"
