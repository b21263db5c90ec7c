"""Likelihoods of whole numbers and of symbols, and the quantile of shares."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.likelihoods import Likelihood, apart, per_sample, second


class Categorical(Likelihood):
    """Cross-entropy in nats of whole numbers 0 to `classes` − 1; the parameters are a logit for each."""

    def __init__(self, classes: int, axis: int) -> None:
        super().__init__()
        self.classes, self.axis = classes, axis

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        logits = apart(params, self.classes, self.axis).movedim(second(self.axis), 1)      # (N, K, ...)
        return F.cross_entropy(logits, target.long(), reduction="none")

    def mean(self, params: Tensor) -> Tensor:
        """The expected number."""
        share = self._logits(params).softmax(-1)
        return share @ torch.arange(self.classes, dtype=share.dtype, device=share.device)

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Whole numbers, like the target."""
        share = self._logits(params).softmax(-1)
        return quantile(share, chance).to(params.dtype)

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Of each number below `classes`."""
        return {"log_probabilities": self._logits(params).log_softmax(-1)}

    def support(self) -> Tensor:
        """The numbers."""
        return torch.arange(float(self.classes))

    def _logits(self, params: Tensor) -> Tensor:
        return apart(params, self.classes, self.axis).movedim(second(self.axis), -1)


class CategoricalTokens(Likelihood):
    """Cross-entropy in nats of tokens; the parameters are a logit for each of the `classes` symbols, [N, T, K]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return F.cross_entropy(params.movedim(-1, 1), target, reduction="none")

    def mean(self, params: Tensor) -> Tensor:
        """The likeliest token at each place, [N, T] int64."""
        return params.argmax(-1)

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Tokens, [N, T] int64."""
        return quantile(params.softmax(-1), chance)

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Of each symbol."""
        return {"log_probabilities": params.log_softmax(-1)}

    def support(self) -> Tensor:
        """The symbols."""
        return torch.arange(self.classes)


def quantile(shares: Tensor, chance: Tensor) -> Tensor:
    """The first of K whose share and those before it, [..., K], exceed a number in [0, 1), [...]."""
    return (shares.cumsum(-1) <= chance.unsqueeze(-1)).sum(-1).clamp(max=shares.shape[-1] - 1)
