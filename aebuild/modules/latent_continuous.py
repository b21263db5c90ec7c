"""A deterministic code."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from aebuild.modules.code import Code
from aebuild.modules.latent import Latent


class ContinuousLatent(Latent):
    """The projection itself is the code, [N, *shape]."""

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The code; no terms."""
        return Code(self.project(h, context))
