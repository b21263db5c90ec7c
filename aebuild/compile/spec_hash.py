"""What the weights depend on, as hashes of a spec."""

from __future__ import annotations

import hashlib
import json

from aebuild.compile.canonical import plain, text
from aebuild.compile.spec import Evaluate, Spec, Train
from aebuild.lang.dataset import Dataset, Known, OnDisk


def fingerprints(spec: Spec) -> dict[str, str]:
    """SHA-256 of what the weights depend on: the `objective` with its data, wherever they lie, and the `training`."""
    bare = spec.but(name="model", description="", allow={}, budget=None, evaluate=Evaluate(), train=Train(), data=_anywhere(spec.data))
    train = spec.train.but(**{name: getattr(Train(), name) for name in ("device", "keep", "speed", "recompute")})
    parts = {"objective": text(bare), "training": json.dumps(plain(train), sort_keys=True)}
    return {name: hashlib.sha256(part.encode()).hexdigest() for name, part in parts.items()}


def _anywhere(data: Dataset) -> Dataset:
    if isinstance(data, OnDisk):
        return data.but(path="data")
    return data.but(root=None) if isinstance(data, Known) else data
