"""Whether torch is recording a model as a program."""

from __future__ import annotations

import torch


def recording() -> bool:
    """True inside `torch.export` and `torch.jit.trace`: the program must hold for any batch size and owns no random numbers."""
    return bool(torch.compiler.is_exporting() or torch.jit.is_tracing())
