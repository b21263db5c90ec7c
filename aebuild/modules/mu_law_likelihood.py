"""Waveforms as whole numbers on the logarithmic scale of telephony."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.categorical_likelihood import quantile
from aebuild.modules.likelihoods import Likelihood, apart, per_sample, second


class MuLaw(Likelihood):
    """Cross-entropy in nats of the µ-law level that a value is next to (ITU-T G.711; van den Oord et al., 2016).

    Values from `low` to `high` are compressed, sign(x)·ln(1 + µ|x|)/ln(1 + µ) with µ = levels − 1, and cut into `levels` of equal
    width; the parameters are a logit for each.
    """

    def __init__(self, levels: int, low: float, high: float, axis: int) -> None:
        super().__init__()
        self.levels, self.axis = levels, axis
        self.middle, self.extent = (low + high) / 2, (high - low) / 2

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        logits = apart(params, self.levels, self.axis).movedim(second(self.axis), 1)             # (N, levels, ...)
        return F.cross_entropy(logits, self.level_of(target), reduction="none")

    def level_of(self, values: Tensor) -> Tensor:
        """The level next to each value, whole numbers from 0 like the values."""
        mu, x = self.levels - 1, ((values - self.middle) / self.extent).clamp(-1, 1)
        compressed = x.sign() * torch.log1p(mu * x.abs()) / torch.log1p(torch.tensor(float(mu)))
        return ((compressed + 1) * (mu / 2)).round().long()

    def value_of(self, level: Tensor) -> Tensor:
        """The value that a level stands for."""
        mu = self.levels - 1
        compressed = level * (2 / mu) - 1
        expanded = compressed.sign() * torch.expm1(compressed.abs() * torch.log1p(torch.tensor(float(mu)))) / mu
        return expanded * self.extent + self.middle

    def mean(self, params: Tensor) -> Tensor:
        """The expected value."""
        share = self._shares(params)
        return share @ self.value_of(torch.arange(self.levels, dtype=share.dtype, device=share.device))

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Values of levels, like the target."""
        return self.value_of(quantile(self._shares(params), chance).to(params.dtype))

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Of each level."""
        return {"log_probabilities": self._logits(params).log_softmax(-1)}

    def support(self) -> Tensor:
        """The values of the levels."""
        return self.value_of(torch.arange(float(self.levels)))

    def _shares(self, params: Tensor) -> Tensor:
        return self._logits(params).softmax(-1)

    def _logits(self, params: Tensor) -> Tensor:
        return apart(params, self.levels, self.axis).movedim(second(self.axis), -1)
