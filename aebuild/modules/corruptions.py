"""Changes of the input that a model must undo."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aebuild.modules.masks import Hiding
from aebuild.modules.randomness import Random


class GaussianNoise(Random):
    """Adds N(0, std²) to every element, then clamps to `clip` (low, high) if there is one."""

    def __init__(self, std: float, clip: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.std, self.clip = std, clip

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to the same."""
        noise = self.drawn(torch.randn, x.shape, x.device, dtype=x.dtype)
        noisy = noise.mul_(self.std).add_(x)
        return noisy if self.clip is None else noisy.clamp_(*self.clip)


class Mask(Hiding):
    """Replaces each element by `value` with probability `ratio`, independently (Vincent et al., 2008)."""

    def __init__(self, ratio: float, value: float) -> None:
        super().__init__()
        self.ratio, self.value = ratio, value

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, ...] to the same."""
        masked = self.drawn(torch.rand, x.shape, x.device) < self.ratio
        self.hide(masked, {} if context is None else context)
        return x.masked_fill(masked, self.value)
