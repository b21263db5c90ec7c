"""The order of the samples in a pass: a pure function of (seed, phase, epoch)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from aebuild.modules.randomness import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray


def batch_bounds(samples: int, size: int) -> list[tuple[int, int]]:
    """Where each batch of a pass begins and ends.

    The last batch may be smaller, but never a single sample of many: that one joins the batch before it, because batch
    statistics of one sample do not exist.
    """
    starts = list(range(0, samples, size))
    if size > 1 and len(starts) > 1 and samples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], samples], strict=True))


def order_of(samples: int, seed: int, phase: str, epoch: int) -> Tensor:
    """The order of samples in memory, [samples] int64, the same on every device: a permutation of all."""
    return _permutation(samples, seed, phase, epoch)


def windowed_order(borders: NDArray[np.int64], seed: int, phase: str, epoch: int, window: int) -> Tensor:
    """The order of streamed samples, [samples] int64, the same on every machine.

    The blocks between the borders come in a permuted order; samples are permuted among consecutive blocks, as few as
    hold `window` samples. So a stretch of the order touches few blocks, and no other order has to be known for it.
    """
    blocks = _permutation(len(borders) - 1, seed, phase, epoch).numpy()
    starts, sizes = borders[:-1][blocks], np.diff(borders)[blocks]
    order, held, number = [], [], 0
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        held.append(torch.arange(start, start + size))
        if sum(map(len, held)) >= window:
            order.append(_mixed(held, seed, phase, epoch, number))
            held, number = [], number + 1
    return torch.cat([*order, *([_mixed(held, seed, phase, epoch, number)] if held else [])])


def _mixed(blocks: list[Tensor], seed: int, phase: str, epoch: int, number: int) -> Tensor:
    samples = torch.cat(blocks)
    return samples[_permutation(len(samples), seed, phase, epoch, number)]


def _permutation(count: int, seed: int, *words: object) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive(seed, "order", *words)))
