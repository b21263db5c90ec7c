"""Modules without parameters: what they move where, against numpy and torch's own special cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from aebuild.modules.shapes import (
    Crop,
    Mean,
    Pad,
    Raster,
    Residual,
    Resize,
    SequenceBatchNorm,
    Shuffle,
    Transpose,
    Unflatten,
    Unraster,
)


def counted(*shape: int) -> torch.Tensor:
    """Every element another number."""
    return torch.arange(int(np.prod(shape)), dtype=torch.float32).view(shape)


def test_a_sequences_batch_norm_is_over_samples_and_steps() -> None:
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 3.0]) + 7
    y = SequenceBatchNorm(3)(x)
    expected = (x - x.mean((0, 1))) / (x.var((0, 1), correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(y, expected)


def test_a_vector_becomes_a_grid_and_features_change_places() -> None:
    x = counted(2, 12)
    assert Unflatten((3, 4))(x).tolist() == x.numpy().reshape(2, 3, 4).tolist()
    sequence = counted(2, 3, 4)
    assert Transpose()(sequence).tolist() == sequence.numpy().transpose(0, 2, 1).tolist()


def test_a_grid_is_read_row_by_row_and_back() -> None:
    x = counted(2, 3, 4, 5)
    rows = Raster()(x)
    assert rows[1, 7].tolist() == x[1, :, 1, 2].tolist()               # 7 = 1 · 5 + 2
    assert rows.shape == (2, 20, 3)
    assert torch.equal(Unraster((4, 5))(rows), x)


def test_the_mean_is_over_all_places() -> None:
    grid, sequence = counted(2, 3, 4, 5), counted(2, 4, 3)
    assert Mean(1)(grid).tolist() == grid.numpy().mean((2, 3)).tolist()
    assert Mean(-1)(sequence).tolist() == sequence.numpy().mean(1).tolist()


def test_a_crop_keeps_the_middle_and_a_pad_surrounds() -> None:
    x = counted(2, 3, 6, 5)
    assert torch.equal(Crop((4, 2))(x), x[:, :, 1:5, 1:3])
    assert torch.equal(Crop((6, 5))(x), x)
    padding = ((1, 2), (0, 3))
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), *padding))
    assert Pad(padding)(x).tolist() == expected.tolist()


@pytest.mark.parametrize("size", [(9,), (4, 9), (2, 4, 5)], ids=str)
def test_a_linear_resize_is_exact_on_straight_lines(size: tuple[int, ...]) -> None:
    """Where no border is near, values of a linear ramp lie on the ramp: place i of n among m stands at (i + ½)·m/n − ½."""
    old = tuple(2 * n for n in size)
    ramp = sum(torch.arange(float(n)).view(-1, *[1] * (len(old) - axis - 1)) for axis, n in enumerate(old))
    assert isinstance(ramp, torch.Tensor)
    found = Resize(size, "linear")(ramp.expand(1, 2, *old).contiguous())
    at = [2 * (torch.arange(float(n)) + 0.5) - 0.5 for n in size]
    expected = sum(place.view(-1, *[1] * (len(size) - axis - 1)) for axis, place in enumerate(at))
    torch.testing.assert_close(found[0, 1], expected)


def test_a_nearest_resize_repeats() -> None:
    x = counted(1, 2, 2, 3)
    assert torch.equal(Resize((4, 6), "nearest")(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_shuffle_is_torchs_and_interleaves_in_any_number_of_axes() -> None:
    x = counted(2, 12, 3, 5)
    assert torch.equal(Shuffle((2, 2))(x), F.pixel_shuffle(x, 2))
    y = Shuffle((3, 2))(x)
    assert y.shape == (2, 2, 9, 10)
    for a, b in ((0, 0), (2, 1)):
        assert torch.equal(y[:, 1, a::3, b::2], x[:, 6 + 2 * a + b])
    line = counted(1, 4, 3)
    assert Shuffle((4,))(line).flatten().tolist() == line[0].T.flatten().tolist()


def test_a_residual_adds_its_shortcut_before_the_activation() -> None:
    x = torch.tensor([[-3.0, 1.0]])
    steps = {"0": nn.Identity(), "1": nn.Hardtanh(-2.0, 0.5)}
    assert Residual(steps, None, None)(x).tolist() == [[-5.0, 1.5]]
    assert Residual(steps, nn.Hardtanh(-1.0, 1.0), None)(x).tolist() == [[-3.0, 1.5]]
    assert Residual(steps, None, nn.ReLU())(x).tolist() == [[0.0, 1.5]]
