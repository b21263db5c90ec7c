"""A trained run for tests that read run directories: made once, copied, and spoilt at will."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from aebuild.compile.front import load
from aebuild.results.experiment import train

SPEC = """\
name: {name}
data: {{type: digits, limit: 120}}
encoder: [linear: {{width: 16}}]
latent: {{type: continuous, dim: 4}}
losses: {{reconstruction: bernoulli}}
train: {{epochs: 2, batch_size: 32, speed: exact}}
"""


@functools.cache
def _made(settings: tuple[str, ...]) -> Path:
    folder = Path(tempfile.mkdtemp()) / "run"
    train(load("spec.yaml", settings, text=SPEC.format(name="small")), folder=folder)
    return folder


def a_run(place: Path, *settings: str) -> Path:
    """A copy of a run that was trained with these settings for a moment."""
    shutil.copytree(_made(settings), place)
    return place


def edit(file: Path, **values: Any) -> None:
    """Changes keys of a JSON file of a run."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
