"""A code that is rounded, and whose rate is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aebuild.modules.code import Code
from aebuild.modules.latent import Latent
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs


class CompressedLatent(Latent):
    """The projection with uniform noise in training, rounded in evaluation (Ballé et al., 2017); `prior` is an EntropyModel."""

    prior: Any

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The code, [N, *shape]."""
        y = self.project(h, context)
        if not self.training:
            return Code(y.round() if draws in (None, 1) else y.round().repeat_interleave(draws, 0))
        noise = self.drawn(torch.rand, (len(y), draws or 1, *y.shape[1:]), y.device, dtype=y.dtype) - 0.5
        return Code((y.unsqueeze(1) + noise).flatten(0, 1))

    def losses(self) -> dict[str, LossFunction]:
        """`rate` besides."""
        return {**super().losses(), "rate": self.rate}

    def rate(self, outputs: Outputs) -> Tensor:
        """Nats that each code costs, [N]."""
        found: Tensor = self.prior.rate(outputs.code.value)
        return found
