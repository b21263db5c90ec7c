"""Batches: a split as tensors on the device, in an order that is a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from aebuild.modules.autoencoder import Batch
from aebuild.modules.randomness import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split

SHARE = 0.5      # of the free GPU memory that the data may take


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
    """The order of the samples in one pass, [samples] int64, from (seed, phase, epoch) alone, the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", phase, epoch))
    return torch.randperm(samples, generator=generator)


class Feed:
    """One split as tensors, on the device where it fits, else in main memory and moved batch by batch."""

    def __init__(self, split: Split, device: torch.device) -> None:
        arrays = [split.x, split.target, split.labels]
        self.samples = int(split.x.shape[0])
        self.device = device
        self.resident = device.type == "cpu" or _fits(sum(array.nbytes for array in arrays if array is not None), device)
        home = device if self.resident else torch.device("cpu")
        self.x, self.target, self.labels = (None if array is None else _tensor(array).to(home) for array in arrays)

    def shuffled(self, seed: int, phase: str, epoch: int) -> Tensor:
        """The order of one pass, where the data are."""
        order = order_of(self.samples, seed, phase, epoch)
        return order.to(self.device) if self.resident else order

    def take(self, index: Tensor) -> Batch:
        """The samples of these indices as a batch on the device."""
        assert self.x is not None
        x = self.x.index_select(0, index)
        target = x if self.target is None else self.target.index_select(0, index)
        labels = None if self.labels is None else self.labels.index_select(0, index)
        return Batch(x, target, labels) if self.resident else self._moved(Batch(x, target, labels))

    def slice(self, start: int, stop: int) -> Batch:
        """Consecutive samples as a batch on the device, without a copy where the data are there already."""
        assert self.x is not None
        x = self.x[start:stop]
        target = x if self.target is None else self.target[start:stop]
        batch = Batch(x, target, None if self.labels is None else self.labels[start:stop])
        return batch if self.resident else self._moved(batch)

    def _moved(self, batch: Batch) -> Batch:
        x = batch.x.pin_memory().to(self.device, non_blocking=True)
        target = x if batch.target is batch.x else batch.target.pin_memory().to(self.device, non_blocking=True)
        labels = None if batch.labels is None else batch.labels.to(self.device)
        return Batch(x, target, labels)


def _fits(size: int, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return size <= SHARE * free


def _tensor(array: NDArray[np.generic]) -> Tensor:
    """A tensor over the array's memory, or over a copy where torch cannot share it."""
    return torch.from_numpy(array if array.flags.writeable and array.flags.c_contiguous else array.copy())
