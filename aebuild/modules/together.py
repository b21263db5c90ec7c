"""One batch on several processes: totals, gathered rows, and the own rows of what was drawn for all.

Outside `sharing`, and so wherever one process trains alone, every function here returns what it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Part:
    """A process's consecutive rows of a batch of `rows`, on `size` processes of torch's default group."""

    rank: int
    size: int
    rows: int
    one_by_one: bool = False      # the parts are computed by this process one after the other: nothing can be summed over them

    def bounds(self, rank: int) -> tuple[int, int]:
        """The first row of a process and the one behind its last; shares differ by a row at most and may be empty."""
        return self.rows * rank // self.size, self.rows * (rank + 1) // self.size


class Mixed(RuntimeError):
    """Something wants all samples of a batch at once, of which only a part is there."""


_part: Part | None = None


def _elsewhere() -> Part | None:
    """The part that is shared with other processes, if it is."""
    if _part is not None and _part.one_by_one:
        raise Mixed("the samples of a batch meet in this model")
    return _part


def _known(x: Tensor) -> Part | None:
    return None if _part is not None and _part.one_by_one and not x.requires_grad else _elsewhere()


@contextmanager
def sharing(part: Part) -> Iterator[None]:
    """While entered, what passes through the modules is this part of a batch; all processes run the same modules."""
    global _part
    before, _part = _part, part
    try:
        yield
    finally:
        _part = before


def shared() -> bool:
    """True if the batch is only a part of one."""
    return _part is not None


def whole(rows: int) -> int:
    """How many rows the batch has on all processes together; `rows` are here."""
    if _part is None:
        return rows
    first, last = _part.bounds(_part.rank)
    assert rows == last - first, f"{rows} rows, but this process's part of the batch has {last - first}"
    return _part.rows


def own(x: Tensor) -> Tensor:
    """This process's rows of [rows of the whole batch, ...]."""
    if _part is None:
        return x
    first, last = _part.bounds(_part.rank)
    return x[first:last]


def portion(x: Tensor) -> Tensor:
    """This process's portion of a value that all processes have: portions add up to it."""
    return x if _part is None else x / _part.size


def total(x: Tensor) -> Tensor:
    """The sum over the processes, the same on each, with its gradient."""
    if _elsewhere() is None:
        return x
    result: Tensor = _Total.apply(x)  # type: ignore[no-untyped-call]
    return result


def stacked(x: Tensor) -> Tensor:
    """The tensors of all processes, which are alike in shape, as [processes, ...], with their gradients."""
    if (part := _elsewhere()) is None:
        return x.unsqueeze(0)
    result: Tensor = _Stacked.apply(x, part.rank, part.size)  # type: ignore[no-untyped-call]
    return result


def gathered(x: Tensor, each: int = 1) -> Tensor:
    """The rows of all processes in their order, with their gradients; `each` rows stand for a sample."""
    if (part := _elsewhere()) is None:
        return x
    counts = [each * (last - first) for first, last in map(part.bounds, range(part.size))]
    padding = max(counts) - x.shape[0]
    every = stacked(F.pad(x, (0, 0) * (x.ndim - 1) + (0, padding)) if padding else x)
    return torch.cat([every[rank, :count] for rank, count in enumerate(counts)])


def chosen(x: Tensor, rows: Tensor, each: int = 1) -> Tensor:
    """Rows of [B, M, d] for [B, K] numbers of rows in what all processes have: [B, K, d]; no gradient."""
    if (part := _elsewhere()) is None:
        return x.gather(1, rows.unsqueeze(2).expand(-1, -1, x.shape[2]))
    first, last = (each * row for row in part.bounds(part.rank))
    here = ((rows >= first) & (rows < last)).unsqueeze(2)
    found = F.pad(x, (0, 0, 0, 1)).gather(1, (rows - first).clamp(0, last - first).unsqueeze(2).expand(-1, -1, x.shape[2]))
    return total(torch.where(here, found, torch.zeros((), dtype=x.dtype, device=x.device)))


def mean(x: Tensor) -> Tensor:
    """The mean over the rows of the whole batch; of a measure without a gradient that of the rows that are there."""
    part = _known(x)
    return x.mean(0) if part is None else total(x.sum(0)) / part.rows


def variance(x: Tensor) -> Tensor:
    """The variance over the rows of the whole batch, divided by their number; without a gradient as in `mean`."""
    part = _known(x)
    return x.var(0, correction=0) if part is None else total((x - mean(x)).square().sum(0)) / part.rows


def anywhere(flag: bool) -> bool:
    """True if the flag is true on any process."""
    if _elsewhere() is None:
        return flag
    from torch import distributed

    told = torch.tensor(int(flag))
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return bool(told)


def of_first(x: Tensor) -> Tensor:
    """The first process's tensor, where arithmetic on different machines could differ in the last bit."""
    if _elsewhere() is not None:
        from torch import distributed

        distributed.broadcast(x, 0)
    return x


class _Total(torch.autograd.Function):
    """Sums over the processes; each one's gradient is the sum of all gradients of the total."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> Tensor:
        return _summed(grad)


class _Stacked(torch.autograd.Function):
    """Stacks what the processes have; each one's gradient is what all processes want of its slice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rank: int, size: int) -> Tensor:
        from torch import distributed

        ctx.rank = rank
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(size)]
        distributed.all_gather(parts, x.detach().contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _summed(grad)[ctx.rank], None, None


def _summed(x: Tensor) -> Tensor:
    from torch import distributed

    result = x.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(result)
    return result
