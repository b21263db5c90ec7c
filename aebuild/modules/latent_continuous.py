"""A deterministic code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.latent import Latent
from aebuild.modules.priors import Prior


class ContinuousLatent(Latent):
    """The projection itself is the code, [N, *shape]; where a `sphere` is given, the axis of its features, divided by its length."""

    def __init__(self, steps: Mapping[str, nn.Module], prior: Prior, sphere: int | None = None) -> None:
        super().__init__(steps, prior)
        self.sphere = sphere

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The code; no terms."""
        return Code(self.settled(self.project(h, context)))

    def settled(self, value: Tensor) -> Tensor:
        """On the sphere, where codes lie there."""
        return value if self.sphere is None else nn.functional.normalize(value, dim=self.sphere)

    def draw(self, n: int, context: dict[str, Any] | None = None) -> Tensor:
        """`n` codes."""
        return self.settled(super().draw(n, context))
