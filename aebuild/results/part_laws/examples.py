"""The examples that parts carry, as small trainable specs."""

from __future__ import annotations

import re

from aebuild.lang.part import Part

FRAME = {"data": "data: {type: digits, limit: 30}\n", "encoder": "encoder: [linear: 8]\n", "latent": "latent: {type: continuous, dim: 3}\n",
         "train": "train: {steps: 4, batch_size: 10}\n"}


def own_example(part: type[Part]) -> str:
    """The example that a part itself carries, not what it is derived from."""
    return part.example if "example" in part.__dict__ else ""


def specs_of(example: str) -> list[str]:
    """The whole specs of an example, each completed by a small frame where keys are missing."""
    found = []
    for text in re.split(r"^---$", example.strip("\n"), flags=re.MULTILINE):
        keys = re.findall(r"^(\w+):", text, re.MULTILINE)
        found.append(text.strip("\n") + "\n" + "".join(line for key, line in FRAME.items() if key not in keys))
    return found
