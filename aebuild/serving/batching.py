"""One thread for the model, and requests that wait together as one batch."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Job:
    """What one request wants of the model: `payload`, of so many samples. Jobs of the same `key` may be one batch; None goes alone."""

    payload: Any
    samples: int
    compute: Callable[[Sequence[Any]], Sequence[Any]]
    key: Hashable = None
    future: Future[Any] = field(default_factory=Future)
    came: float = field(default_factory=time.monotonic)
    together: int = 0          # how many requests were in its batch


class ModelThread:
    """Computes jobs in the order they come, those of one key together.

    A batch has at most `most` samples, or one job; the first of it waits at most `wait` seconds for others. A batch that fails is
    computed again job by job, so that nobody's data spoil another's answer.
    """

    def __init__(self, most: int, wait: float) -> None:
        self._most, self._wait = most, wait
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still computes."""
        return self._thread.is_alive()

    def submit(self, job: Job) -> Future[Any]:
        """Puts a job at the end; its future may be cancelled while it waits."""
        with self._changed:
            if self._ending:
                job.future.cancel()
            else:
                self._jobs.append(job)
                self._changed.notify()
        return job.future

    def close(self) -> None:
        """Computes what waits, then ends."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            ready = [job for job in batch if job.future.set_running_or_notify_cancel()]
            if ready:
                self._compute(ready)

    def _next(self) -> list[Job]:
        """The jobs to compute next; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._ending)
            if not self._jobs:
                return []
            batch = [self._jobs.popleft()]
            while batch[0].key is not None:
                self._gather(batch)
                left = batch[0].came + self._wait - time.monotonic()
                if left <= 0 or self._ending or sum(job.samples for job in batch) >= self._most:
                    break
                self._changed.wait(left)
            return batch

    def _gather(self, batch: list[Job]) -> None:
        """Takes the waiting jobs that go with the first, as many as there is room for."""
        room = self._most - sum(job.samples for job in batch)
        for job in list(self._jobs):
            if job.key == batch[0].key and job.samples <= room:
                self._jobs.remove(job)
                batch.append(job)
                room -= job.samples

    def _compute(self, batch: list[Job]) -> None:
        try:
            results = batch[0].compute([job.payload for job in batch])
        except Exception as error:          # whatever a model or a reader raises belongs to the request
            if len(batch) == 1:
                batch[0].future.set_exception(error)
            else:
                for job in batch:
                    self._compute([job])
            return
        for job, result in zip(batch, results, strict=True):
            job.together = len(batch)
            job.future.set_result(result)
