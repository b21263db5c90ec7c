"""Batches: the samples of a split as tensors on the device, from memory or ahead of time from disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from aebuild.lang.sample_storage import WINDOW, Held, Store
from aebuild.modules.coins import zeros_and_ones
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import derive
from aebuild.trainer.batches.prefetch import ahead
from aebuild.trainer.batches.sampler import batch_bounds, order_of, windowed_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split
__all__ = ["SplitLoader", "batch_bounds", "order_of"]
SHARE = 0.5      # of the free GPU memory that the data may take


class Loader(Protocol):
    """What a phase trains on and is judged by: samples or codes, in batches."""

    samples: int

    def shuffled(self, seed: int, phase: str, epoch: int) -> Tensor:
        """The order of one pass."""
        ...

    def batches(self, indices: Iterable[Tensor]) -> Generator[Batch]:
        """The batches of these indices, one after the other; close it where it is not used up."""
        ...

    def passing(self, bounds: Iterable[tuple[int, int]]) -> Iterator[Batch]:
        """The batches of a pass in an order that is always the same."""
        ...

    def take(self, index: Tensor) -> Batch:
        """The samples of these indices as a batch on the device."""
        ...
class ByteTable:
    """Turns bytes into the very numbers of a table, float32 [256].

    Where (byte - a) / b gives each of the 256 numbers bit by bit, that is done instead: it takes a tenth of the time of
    looking them up.
    """

    def __init__(self, table: NDArray[np.float32], device: torch.device) -> None:
        self.table = torch.from_numpy(table).to(device)
        self.line = self._line(table)

    def __call__(self, kept: Tensor) -> Tensor:
        """uint8 of any shape to float32."""
        if self.line is None:
            return self.table.index_select(0, kept.flatten().int()).view(kept.shape)
        return _along(kept, *self.line)

    def _line(self, table: NDArray[np.float32]) -> tuple[float, float] | None:
        """The a and b of a straight line through the table, if it meets all of it on this device."""
        slope = (float(table[255]) - float(table[0])) / 255
        if not np.isfinite(slope) or slope == 0:
            return None
        every = torch.arange(256, dtype=torch.uint8, device=self.table.device)
        exact = float(np.float32(1 / slope))
        for scale in dict.fromkeys((round(2 / slope) / 2, exact)):
            line = (round(-2 * float(table[0]) * scale) / 2, scale)
            if scale and torch.equal(_along(every, *line), self.table):
                return line
        return None


def _along(kept: Tensor, middle: float, scale: float) -> Tensor:
    numbers = kept.float()
    if middle:
        numbers.sub_(middle)
    return numbers if scale == 1 else numbers.div_(scale)


class RawBatch(NamedTuple):
    """A batch as it is kept: bytes or numbers, in main memory or on the device."""

    x: Tensor
    target: Tensor | None
    beside: dict[str, Tensor]           # what else the data know of each sample

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return sum(held.nbytes for held in (self.x, self.target, *self.beside.values()) if held is not None)

    def each(self, change: Callable[[Tensor], Tensor]) -> RawBatch:
        """The same with each tensor changed."""
        return RawBatch(change(self.x), None if self.target is None else change(self.target),
                        {name: change(held) for name, held in self.beside.items()})


class Column:
    """The inputs or the targets of a split: a tensor, or a reader where they stay on disk."""

    def __init__(self, store: Store, device: torch.device, home: torch.device) -> None:
        self.store = store
        self.levels = None if store.levels is None else ByteTable(store.levels, device)
        self.values = _tensor(store.values).to(home) if isinstance(store, Held) else None

    def take(self, index: Tensor) -> Tensor:
        """Samples as they are kept."""
        return torch.from_numpy(self.store.take(index.numpy())) if self.values is None else self.values.index_select(0, index)

    def numbers(self, kept: Tensor) -> Tensor:
        """The numbers that they mean: float32, or int64 of tokens, which are kept in a smaller type."""
        if self.levels is not None:
            return self.levels(kept)
        return kept if kept.is_floating_point() else kept.long()


class SplitLoader:
    """One split, on the device where it fits, else in main memory or on disk and moved batch by batch.

    Bytes stay bytes and become numbers on the device. Samples on disk are read by a thread that is a few batches ahead;
    samples in memory need none.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self.samples = len(split)
        self.device = device
        self.borders = split.inputs.blocks()
        size = split.inputs.nbytes + (0 if split.targets is None else split.targets.nbytes)
        self.resident = not split.streamed and (device.type == "cpu" or _fits(size, device))
        home = device if self.resident else torch.device("cpu")
        self.x = Column(split.inputs, device, home)
        self.target = None if split.targets is None else Column(split.targets, device, home)
        self.beside = {name: _tensor(held).to(home) for name, held in split.beside.items()}
        self._flipped = split.flipped
        self._turn = 0                     # of the zeros and ones of a pass

    @property
    def streamed(self) -> bool:
        """True where the samples stay on disk."""
        return self.borders is not None

    def shuffled(self, seed: int, phase: str, epoch: int) -> Tensor:
        """The order of one pass, where the data are."""
        self._turn = derive(seed, phase, epoch)
        if self.borders is not None:
            return windowed_order(self.borders, seed, phase, epoch, WINDOW)
        order = order_of(self.samples, seed, phase, epoch)
        return order.to(self.device) if self.resident else order

    def batches(self, indices: Iterable[Tensor]) -> Generator[Batch]:
        """The batches of these indices, one after the other; close it where it is not used up."""
        if not self.streamed:
            for index in indices:
                yield self.take(index, self._turn)
            return
        drawn: deque[Tensor] = deque()
        with ahead(self._kept, _noted(indices, drawn)) as ready:
            for kept in ready:
                yield self._flip(self._delivered(kept), drawn.popleft(), self._turn)

    def passing(self, bounds: Iterable[tuple[int, int]]) -> Iterator[Batch]:
        """The batches of a pass in an order that is always the same."""
        if self.streamed:
            self._turn = 0
            yield from self.batches(self._steady[start:stop] for start, stop in bounds)
        else:
            for start, stop in bounds:
                yield self.slice(start, stop)

    def take(self, index: Tensor, turn: int = 0) -> Batch:
        """The samples of these indices as a batch on the device; zeros and ones that are drawn anew are those of the turn."""
        return self._flip(self._delivered(self._kept(index)), index, turn)

    def slice(self, start: int, stop: int) -> Batch:
        """Consecutive samples of the pass that is always the same; numbers on the device are not copied."""
        if self.x.values is None:
            return self.take(self._steady[start:stop])
        target = None if self.target is None or self.target.values is None else self.target.values[start:stop]
        beside = {name: held[start:stop] for name, held in self.beside.items()}
        return self._flip(self._delivered(RawBatch(self.x.values[start:stop], target, beside)), torch.arange(start, stop), 0)

    def _flip(self, batch: Batch, rows: Tensor, turn: int) -> Batch:
        """The batch as zeros and ones drawn for this turn, if the data are to be drawn."""
        if not self._flipped:
            return batch
        x = zeros_and_ones(batch.x, rows, turn)
        return replace(batch, x=x, target=x if batch.target is batch.x else zeros_and_ones(batch.target, rows, turn + 1))

    @cached_property
    def _steady(self) -> Tensor:
        """Samples on disk in one mixed order, so that a batch is no stretch of one class."""
        assert self.borders is not None
        return windowed_order(self.borders, 0, "steady", 0, WINDOW)

    def _kept(self, index: Tensor) -> RawBatch:
        kept = RawBatch(self.x.take(index), None if self.target is None else self.target.take(index),
                        {name: held.index_select(0, index) for name, held in self.beside.items()})
        if self.resident or self.device.type == "cpu":
            return kept
        with torch.cuda.device(self.device):          # this may be another thread, and so another device
            return kept.each(Tensor.pin_memory)

    def _delivered(self, kept: RawBatch) -> Batch:
        if not self.resident:
            kept = kept.each(lambda part: part.to(self.device, non_blocking=True))
        x = self.x.numbers(kept.x)
        return Batch(x, x if self.target is None or kept.target is None else self.target.numbers(kept.target), **kept.beside)


def _noted(indices: Iterable[Tensor], drawn: deque[Tensor]) -> Iterator[Tensor]:
    for index in indices:
        drawn.append(index)
        yield index


def _fits(size: int, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return size <= SHARE * free


def _tensor(array: NDArray[np.generic]) -> Tensor:
    """A tensor over the array's memory, or over a copy where torch cannot share it."""
    return torch.from_numpy(array if array.flags.writeable and array.flags.c_contiguous else array.copy())
