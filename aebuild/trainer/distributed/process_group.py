"""The processes that train together: who has which rows, and what they agree on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from aebuild.lang.diagnostics import AebuildError, DivergedError, Silent
from aebuild.modules.collectives import BatchPart, sharing
from aebuild.trainer.checkpoints.checkpoint import pack, unpack
from aebuild.trainer.signals import Interrupted

if TYPE_CHECKING:
    from aebuild.trainer.distributed.heartbeat import Heartbeat

T = TypeVar("T")
_BROKEN = ("Connection closed by peer", "Connection reset", "Broken pipe", "NCCL", "recv", "Socket", "socket", "store", "Store")
_LATE = ("Timed out", "timed out", "timeout", "Timeout")


class ProcessGroup:
    """One process alone; the methods of `MultiProcessGroup` without anybody to talk to."""

    rank = 0
    size = 1
    sharded = False      # each holds a part of the weights, rather than all of them

    @property
    def first(self) -> bool:
        """True in the process that writes, shows and evaluates."""
        return self.rank == 0

    @property
    def words(self) -> str:
        """How many processes, and over what they talk; empty for one."""
        return ""

    def own(self, start: int, stop: int) -> tuple[int, int]:
        """The bounds of this process's consecutive part of a batch."""
        return start, stop

    @contextmanager
    def part(self, rows: int) -> Iterator[None]:
        """While entered, a batch of so many rows is shared."""
        yield

    def total(self, x: Tensor) -> Tensor:
        """The sum over all processes."""
        return x

    def agree(self, anyone: int, *first: int) -> tuple[int, ...]:
        """The greatest `anyone` of all processes, then the numbers of the first; none is negative."""
        return anyone, *first

    def word(self, text: str | None) -> str | None:
        """What the first process with something to say says."""
        return text

    def everyone(self, text: str) -> list[str]:
        """What each process says, in their order."""
        return [text]

    def spread(self, state: Any, device: torch.device) -> Any:
        """The nested state that the first process has, in every process."""
        return state

    def in_turn(self, action: Callable[[], T]) -> T:
        """What each process does, the first of each machine before the others."""
        return action()

    def finish(self) -> None:
        """All are done with what they do together; all but the first end here."""

    def tell_resume(self, command: str) -> None:
        """What to type to go on, should another process be lost."""

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turns failures of talking into errors of the user's, and tells the others when this process fails."""
        yield


ALONE = ProcessGroup()


class MultiProcessGroup(ProcessGroup):
    """Processes over torch's default group, with tensors on the CPU and on the device."""

    def __init__(self, rank: int, size: int, local_rank: int, backend: str, heartbeat: Heartbeat, *, sharded: bool = False) -> None:
        self.rank, self.size, self.sharded = rank, size, sharded
        self.local_rank, self.backend, self.heartbeat = local_rank, backend, heartbeat

    @property
    def words(self) -> str:
        """Such as "2 processes: gloo"."""
        return f"{self.size} processes: {self.backend}{', sharded' if self.sharded else ''}"

    def own(self, start: int, stop: int) -> tuple[int, int]:
        """The bounds of this process's rows, which may be none."""
        first, last = BatchPart(self.rank, self.size, stop - start).bounds(self.rank)
        return start + first, start + last

    @contextmanager
    def part(self, rows: int) -> Iterator[None]:
        """Modules draw and sum for the whole batch."""
        with sharing(BatchPart(self.rank, self.size, rows)):
            yield

    def total(self, x: Tensor) -> Tensor:
        """Waits for all."""
        result = x.clone()
        torch.distributed.all_reduce(result)
        return result

    def agree(self, anyone: int, *first: int) -> tuple[int, ...]:
        """Waits for all."""
        told = torch.tensor([anyone, *(first if self.first else (0,) * len(first))])
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        return tuple(told.tolist())

    def word(self, text: str | None) -> str | None:
        """Waits for all."""
        speaker = self.size - self.agree(0 if text is None else self.size - self.rank)[0]
        if speaker == self.size:
            return None
        return self._bytes((text or "").encode(), speaker).decode()

    def everyone(self, text: str) -> list[str]:
        """Waits for all."""
        return [self._bytes(text.encode(), speaker).decode() for speaker in range(self.size)]

    def spread(self, state: Any, device: torch.device) -> Any:
        """As JSON and tensors, one after the other; they arrive on the device."""
        tensors: dict[str, Tensor] = {}
        packed = pack(state, tensors) if self.first else None
        kinds = {name: (str(tensor.dtype).removeprefix("torch."), list(tensor.shape)) for name, tensor in tensors.items()}
        packed, kinds = json.loads(self._bytes(json.dumps([packed, kinds]).encode(), 0))
        for name, (kind, shape) in kinds.items():
            sent = tensors[name].to(device).contiguous() if self.first else torch.empty(shape, dtype=getattr(torch, kind), device=device)
            torch.distributed.broadcast(sent, 0)
            tensors[name] = sent
        return unpack(packed, tensors)

    def _bytes(self, data: bytes, source: int) -> bytes:
        length = torch.tensor(len(data))
        torch.distributed.broadcast(length, source)
        told = torch.zeros(int(length), dtype=torch.uint8)
        if self.rank == source:
            told.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        torch.distributed.broadcast(told, source)
        return bytes(told.tolist())

    def in_turn(self, action: Callable[[], T]) -> T:
        """So that data are fetched once a machine."""
        if self.local_rank == 0:
            result = action()
        self.agree(0)
        return result if self.local_rank == 0 else action()

    def finish(self) -> None:
        """Raises Silent in all processes but the first."""
        self.agree(0)
        self.heartbeat.leave(0)
        torch.distributed.destroy_process_group()
        if not self.first:
            raise Silent(0)

    def tell_resume(self, command: str) -> None:
        """All will say it."""
        self.heartbeat.resume = self._bytes(command.encode(), 0).decode()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """What was agreed on (a signal, NaN) the first process tells, the others keep quiet."""
        try:
            yield
        except Silent as error:
            self.heartbeat.leave(error.exit_code)
            raise
        except AebuildError as error:
            self.heartbeat.leave(error.exit_code)
            if isinstance(error, Interrupted | DivergedError) and not self.first:
                raise Silent(error.exit_code) from error
            raise
        except RuntimeError as error:
            said = str(error)
            if any(sign in said for sign in _LATE):
                raise self.heartbeat.hung() from error
            if self.heartbeat.news is not None or any(sign in said for sign in _BROKEN):
                raise self.heartbeat.error() from error
            self.heartbeat.leave(1)
            raise
        except BaseException:
            self.heartbeat.leave(1)
            raise
