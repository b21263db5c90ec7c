"""Reading ahead: one thread makes the next batches while the device works on this one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from torch import Tensor

MOST_BYTES = 256 << 20      # of batches that wait; one may wait whatever its size
PATIENCE = 2.0              # seconds that closing waits for a read in progress


class Sized(Protocol):
    """Something whose bytes are counted."""

    @property
    def nbytes(self) -> int:
        """Its bytes."""
        ...


T = TypeVar("T", bound=Sized)


@contextmanager
def ahead(read: Callable[[Tensor], T], indices: Iterable[Tensor]) -> Iterator[Iterator[T]]:
    """What `read` makes of each index, in their order, while a thread reads the next ones.

    An exception in the thread is raised where its batch would have come. Leaving stops the thread: it never waits for
    anything but its own read, and ends with the process.
    """
    queue: _Queue[T] = _Queue()
    thread = threading.Thread(target=_fill, args=(queue, read, indices), name="prefetch", daemon=True)
    thread.start()
    try:
        yield iter(queue)
    finally:
        queue.close()
        thread.join(PATIENCE)


def _fill(queue: _Queue[T], read: Callable[[Tensor], T], indices: Iterable[Tensor]) -> None:
    try:
        for index in indices:
            if not queue.put(read(index)):
                return
        queue.end(None)
    except BaseException as error:        # whatever it is, the training thread must hear of it
        queue.end(error)


class _Queue(Generic[T]):
    """Batches that wait, at most so many bytes of them."""

    def __init__(self) -> None:
        self._held: deque[T] = deque()
        self._size = 0
        self._closed = self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, kept: T) -> bool:
        """Waits for room and adds a batch; False once nobody wants any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._held or self._size + kept.nbytes <= MOST_BYTES)
            self._held.append(kept)
            self._size += kept.nbytes
            self._changed.notify_all()
            return not self._closed

    def end(self, error: BaseException | None) -> None:
        """No more batches will come, because of the error if there is one."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody wants any more."""
        with self._changed:
            self._closed = True
            self._held.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._held or self._ended)
                if not self._held:
                    if self._error is not None:
                        raise self._error
                    return
                kept = self._held.popleft()
                self._size -= kept.nbytes
                self._changed.notify_all()
            yield kept
