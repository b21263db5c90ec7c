"""Errors that outliers move little."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.likelihoods import Point, per_sample


class Huber(Point):
    """Half the squared error up to `delta`, from there on delta·(|error| − delta / 2)."""

    def __init__(self, delta: float) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return F.huber_loss(params, target, reduction="none", delta=self.delta)


class Charbonnier(Point):
    """√(error² + ε²)."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return ((params - target).square() + self.epsilon ** 2).sqrt()
