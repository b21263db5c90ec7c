"""Zeros and ones drawn anew for each sample at each time, whoever computes it."""

from __future__ import annotations

import torch
from torch import Tensor

GOLDEN, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15          # of SplitMix64, as signed numbers


def zeros_and_ones(shares: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Samples [N, ...] of shares in [0, 1], each element a one with that probability, by `seed` and the number of each row, [N]."""
    flat = shares.flatten(1)
    places = torch.arange(flat.shape[1], device=shares.device) * GOLDEN
    mixed = _mixed(_mixed(rows.to(shares.device) * GOLDEN + seed).unsqueeze(1) + places)
    chance = ((mixed >> 40) & 0xFFFFFF).to(shares.dtype) * 2.0 ** -24
    return (flat > chance).to(shares.dtype).view_as(shares)


def _mixed(z: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele et al., 2014), whose shifts bring in zeros."""
    z = (z ^ ((z >> 30) & (1 << 34) - 1)) * FIRST
    z = (z ^ ((z >> 27) & (1 << 37) - 1)) * SECOND
    return z ^ ((z >> 31) & (1 << 33) - 1)
