"""Garbage collection kept out of passes that only build."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Iterator[None]:
    """Pauses the cycle collector: a plan is many small objects that all live, and looking through them again and again is quadratic.

    At the end they count as old, so that the next collection of young objects does not look through them either; one of all does.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            _grow_old()
            gc.enable()


def _grow_old() -> None:
    """Moves what is there to the oldest generation, by way of the permanent one where nobody else keeps anything."""
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
