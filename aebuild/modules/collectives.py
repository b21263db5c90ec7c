"""One batch on several processes or threads: totals, gathered rows, and the own rows of what was drawn for all.

Outside `sharing`, and so wherever one trains alone, every function here returns what it was given. `process` below means
whoever computes a part of the batch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Talk(Protocol):
    """How those who share a batch hear of each other; all of them make the same calls in the same order."""

    def every(self, x: Tensor) -> list[Tensor]:
        """The tensors of all, which are alike in shape, in their order."""
        ...

    def summed(self, x: Tensor) -> Tensor:
        """Their sum, the same for each."""
        ...


class Processes:
    """Those of torch's default group."""

    def every(self, x: Tensor) -> list[Tensor]:
        """Waits for all."""
        from torch import distributed

        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x)
        return parts

    def summed(self, x: Tensor) -> Tensor:
        """Waits for all."""
        from torch import distributed

        result = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result)
        return result


class Threads:
    """Threads of this process, for one batch."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._barrier = threading.Barrier(size)
        self._said: list[Any] = [None] * size

    def every(self, x: Tensor) -> list[Tensor]:
        """Waits for all; BrokenBarrierError if one of them failed."""
        assert _here.part is not None
        self._said[_here.part.rank] = x
        self._barrier.wait()
        found = list(self._said)
        self._barrier.wait()                  # before anybody says something else
        return found

    def summed(self, x: Tensor) -> Tensor:
        """Waits for all."""
        return reduce(torch.add, self.every(x))

    def fail(self) -> None:
        """Nobody waits any longer, now or later."""
        self._barrier.abort()


class Imagined:
    """Others who say the same as this one, where a share of a batch is computed to see how long that takes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def every(self, x: Tensor) -> list[Tensor]:
        """The same tensor for each."""
        return [x] * self.size

    def summed(self, x: Tensor) -> Tensor:
        """So many times the tensor."""
        return x * self.size


PROCESSES = Processes()


@dataclass(frozen=True)
class BatchPart:
    """The consecutive rows of number `rank` of `size` in a batch of `rows`; without `talk` nothing can be summed over the parts."""

    rank: int
    size: int
    rows: int
    talk: Talk | None = PROCESSES
    draws: int = 1                # rows that stand for each sample

    def bounds(self, rank: int) -> tuple[int, int]:
        """The first row of a process and the one behind its last; shares differ by a sample at most and may be empty."""
        return self.draws * (self.rows * rank // self.size), self.draws * (self.rows * (rank + 1) // self.size)


class CrossSampleError(RuntimeError):
    """Something wants all samples of a batch at once, of which only a part is there."""


class _Here(threading.local):
    part: BatchPart | None = None


_here = _Here()


def _talk() -> Talk | None:
    """How to hear of the rest of the batch, if it is elsewhere."""
    if _here.part is None:
        return None
    if _here.part.talk is None:
        raise CrossSampleError("the samples of a batch meet in this model")
    return _here.part.talk


def _alone(x: Tensor) -> bool:
    """True if a measure is to be taken of the rows that are there: they are all, or it has no gradient and the rest comes later."""
    part = _here.part
    return part is None or (part.talk is None and not x.requires_grad)


@contextmanager
def sharing(part: BatchPart | None) -> Iterator[None]:
    """While entered, what passes through the modules in this thread is this part of a batch; all run the same modules."""
    before, _here.part = _here.part, part
    try:
        yield
    finally:
        _here.part = before


@contextmanager
def repeated(draws: int) -> Iterator[None]:
    """While entered, so many rows one after the other stand for each sample."""
    part = _here.part
    with sharing(part if part is None or draws == part.draws else replace(part, draws=draws)):
        yield


def present() -> BatchPart | None:
    """What this thread shares, for `sharing` in a thread that goes on with its work."""
    return _here.part


def shared() -> bool:
    """True if the batch is only a part of one."""
    return _here.part is not None


def whole(rows: int) -> int:
    """How many rows the batch has on all processes together; `rows` are here."""
    part = _here.part
    if part is None:
        return rows
    first, last = part.bounds(part.rank)
    assert rows == last - first, f"{rows} rows, but this part of the batch has {last - first}"
    return part.rows * part.draws


def own(x: Tensor) -> Tensor:
    """This process's rows of [rows of the whole batch, ...]."""
    part = _here.part
    if part is None:
        return x
    first, last = part.bounds(part.rank)
    return x[first:last]


def portion(x: Tensor) -> Tensor:
    """This process's portion of a value that all processes have: portions add up to it."""
    return x if _here.part is None else x / _here.part.size


def total(x: Tensor) -> Tensor:
    """The sum over the processes, the same on each, with its gradient."""
    if (talk := _talk()) is None:
        return x
    result: Tensor = _Total.apply(x, talk)  # type: ignore[no-untyped-call]
    return result


def stacked(x: Tensor) -> Tensor:
    """The tensors of all processes, which are alike in shape, as [processes, ...], with their gradients."""
    if (talk := _talk()) is None:
        return x.unsqueeze(0)
    assert _here.part is not None
    result: Tensor = _Stacked.apply(x, talk, _here.part.rank)  # type: ignore[no-untyped-call]
    return result


def gathered(x: Tensor, each: int = 1) -> Tensor:
    """The rows of all processes in their order, with their gradients; `each` rows stand for a sample."""
    if _talk() is None or (part := _here.part) is None:
        return x
    counts = [each * (last - first) for first, last in map(part.bounds, range(part.size))]
    padding = max(counts) - x.shape[0]
    every = stacked(F.pad(x, (0, 0) * (x.ndim - 1) + (0, padding)) if padding else x)
    return torch.cat([every[rank, :count] for rank, count in enumerate(counts)])


def gathered_samples(x: Tensor) -> Tensor:
    """The rows of all processes where there is one for each sample, though elsewhere in this pass draws stand for it."""
    with repeated(1):
        return gathered(x)


def chosen(x: Tensor, rows: Tensor, each: int = 1) -> Tensor:
    """Rows of [B, M, d] for [B, K] numbers of rows in what all processes have: [B, K, d]; no gradient."""
    if _talk() is None or (part := _here.part) is None:
        return x.gather(1, rows.unsqueeze(2).expand(-1, -1, x.shape[2]))
    first, last = (each * row for row in part.bounds(part.rank))
    here = ((rows >= first) & (rows < last)).unsqueeze(2)
    found = F.pad(x, (0, 0, 0, 1)).gather(1, (rows - first).clamp(0, last - first).unsqueeze(2).expand(-1, -1, x.shape[2]))
    return total(torch.where(here, found, torch.zeros((), dtype=x.dtype, device=x.device)))


def mean(x: Tensor) -> Tensor:
    """The mean over the rows of the whole batch; of a measure without a gradient that of the rows that are there."""
    return x.mean(0) if _alone(x) else total(x.sum(0)) / whole(x.shape[0])


def averaged(sums: Tensor, rows: int, each: int = 1) -> Tensor:
    """Sums over the rows that are here, `each` a sample, as means over those of the whole batch; without a gradient as in `mean`."""
    return sums / rows if _alone(sums) else total(sums) / (each * whole(rows // each))


def variance(x: Tensor) -> Tensor:
    """The variance over the rows of the whole batch, divided by their number; without a gradient as in `mean`."""
    return x.var(0, correction=0) if _alone(x) else total((x - mean(x)).square().sum(0)) / whole(x.shape[0])


def anywhere(flag: bool) -> bool:
    """True if the flag is true on any process."""
    talk = _talk()
    return flag if talk is None else bool(talk.summed(torch.tensor(int(flag))))


def of_first(x: Tensor) -> Tensor:
    """The first process's tensor, where arithmetic on different machines could differ in the last bit."""
    talk = _talk()
    return x if talk is None else talk.every(x)[0].clone()


class _Total(torch.autograd.Function):
    """RunningMeans over the processes; each one's gradient is the sum of all gradients of the total."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, talk: Talk) -> Tensor:
        ctx.talk = talk
        return talk.summed(x.detach())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.talk.summed(grad.detach()), None


class _Stacked(torch.autograd.Function):
    """Stacks what the processes have; each one's gradient is what all processes want of its slice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, talk: Talk, rank: int) -> Tensor:
        ctx.talk, ctx.rank = talk, rank
        return torch.stack(talk.every(x.detach()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.talk.summed(grad.detach())[ctx.rank], None, None
