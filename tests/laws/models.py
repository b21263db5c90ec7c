"""What the laws do with a spec: plan it, build it, feed it."""

from __future__ import annotations

from aebuild.compile.front import Loaded, load
from aebuild.results.part_laws.trial import Turn, batch_of, imagined, on_meta, samples, turns, unreached

__all__ = ["Turn", "batch_of", "fine", "imagined", "on_meta", "samples", "turns", "unreached"]


def fine(text: str) -> Loaded:
    """The spec of a text that has no errors."""
    loaded = load("generated.yaml", text=text)
    assert not loaded.errors, "\n".join([*(f"{d.code} {d.path}: {d.message}" for d in loaded.errors), text])
    assert loaded.plan is not None and loaded.spec is not None and loaded.info is not None
    return loaded
