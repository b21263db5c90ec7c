"""Completes a part of a spec to a whole one, and takes rules' stories apart."""

from __future__ import annotations

import re
from pathlib import Path

from aebuild.compile.front import Loaded, load
from aebuild.lang.diagnostics import Rule

FRAME = {"data": "data: digits", "encoder": "encoder: {layer: linear, width: 48}", "latent": "latent: {type: continuous, dim: 8}"}

_TOP_KEY = re.compile(r"^(\w+):", re.MULTILINE)
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def completed(text: str, *more: str) -> str:
    """The text with every top-level key that it lacks and `more` or the frame has, at its end."""
    for source in (*more, "\n".join(FRAME.values())):
        lines = sections(source)
        text += "".join(lines[key] for key in lines if key not in set(_TOP_KEY.findall(text)))
    return text


def sections(text: str) -> dict[str, str]:
    """The lines of each top-level key."""
    starts = [*_TOP_KEY.finditer(text)]
    ends = [*(match.start() for match in starts[1:]), len(text)]
    return {match[1]: text[match.start():end].rstrip("\n") + "\n" for match, end in zip(starts, ends, strict=False)}


def examples(rule: Rule) -> list[str]:
    """The YAML examples of a rule's story: first the bad one, then the mended one."""
    return _YAML.findall(rule.story)


def codes(text: str, folder: Path) -> set[str]:
    """The codes of everything found in a spec that stands in `folder`."""
    return {finding.code for finding in checked(text, folder).diagnostics}


def checked(text: str, folder: Path) -> Loaded:
    """What became of a spec that stands in `folder`."""
    return load(folder / "spec.yaml", text=text)
