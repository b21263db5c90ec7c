"""Corruptions: their distribution, bounds and randomness."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from aebuild.modules.randomness import Random
from aebuild.parts.corruptions.gaussian import Gaussian
from aebuild.parts.corruptions.mask import Mask


def test_gaussian_noise() -> None:
    x = torch.full((4, 50_000), 0.5)
    noise = Gaussian(std=0.3).build_corruption()(x) - x
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    assert noise.std().item() == pytest.approx(0.3, rel=0.01)
    assert (x == 0.5).all()
    clipped = Gaussian(std=0.5, clip=[0, 1]).build_corruption()(x)
    assert (clipped.min(), clipped.max()) == (0, 1)
    assert (clipped == 0).float().mean().item() == pytest.approx(0.1587, abs=0.005)


def test_mask() -> None:
    x = torch.ones(4, 50_000)
    masked = Mask(ratio=0.3, value=-2.0).build_corruption()(x)
    assert set(masked.unique().tolist()) == {-2.0, 1.0}
    assert (masked == -2).float().mean().item() == pytest.approx(0.3, abs=0.005)


@pytest.mark.parametrize("part", [Gaussian(std=0.3), Mask(ratio=0.5)], ids=repr)
def test_the_seed_decides(part: Gaussian | Mask) -> None:
    module = part.build_corruption()
    assert isinstance(module, Random)
    x = torch.ones(3, 8)
    module.reseed(1)
    first, second = module(x), module(x)
    module.reseed(1)
    assert torch.equal(module(x), first)
    assert not torch.equal(first, second)
    assert module(torch.empty(2, 3, device="meta")).is_meta


def test_fields() -> None:
    for wrong in ({"std": 0.0}, {"std": 0.1, "clip": [1.0, 0.0]}, {"std": 0.1, "clip": [0.0]}, {}):
        with pytest.raises(ValidationError):
            Gaussian(**wrong)
    for ratio in (0.0, 1.0):
        with pytest.raises(ValidationError):
            Mask(ratio=ratio)
