"""Reusable memory for copies of tensors, so that training can go on while they are written."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Buffers:
    """One set of copies in main memory, pinned where the tensors are on a GPU; filled again and again."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def fill(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies of these tensors, complete when this returns, in the memory of the last call where it fits."""
        copies, devices = {}, set()
        for name, tensor in tensors.items():
            own = tensor.detach()
            held = self._held.get(name)
            if held is None or held.shape != own.shape or held.dtype != own.dtype:
                held = torch.empty(own.shape, dtype=own.dtype, pin_memory=own.is_cuda)
            copies[name] = held.copy_(own, non_blocking=own.is_cuda)
            if own.is_cuda:
                devices.add(own.device)
        for device in devices:
            torch.cuda.current_stream(device).synchronize()
        self._held = copies
        return copies
