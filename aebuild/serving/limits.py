"""What a server takes before it says no."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a server: `body` bytes and `samples` of a request, `queue` requests at once, `timeout` seconds for one.

    Requests that wait together are computed as one batch of at most `batch` samples, for which the first waits `wait` seconds at most.
    """

    body: int = 16 * 2**20
    samples: int = 1024
    queue: int = 64
    timeout: float = 30.0
    batch: int = 256
    wait: float = 0.002
