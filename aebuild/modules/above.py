"""What a prior of a level is told of the code above it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.priors import Prior

ABOVE = "above"        # key of the context under which a level finds the code above it, [N, D]
UNTOLD = "this prior is of a level of a code, and wants the code above it"


class CodeAbove(nn.Linear):
    """The code above, [N, D], as features at each of `length` places of a prior.

    With `places` each of its places, whose features stand on `axis` of its `shape`, is mapped for itself and brought to those places, at
    each of which several indices may stand; without, all of it is told to every place.
    """

    def __init__(self, shape: Sequence[int], axis: int, places: Sequence[int], length: int, width: int) -> None:
        super().__init__(shape[axis - 1 if axis > 0 else axis] if places else prod(shape), width, bias=False)
        self.shape, self.axis, self.places, self.length = tuple(shape), axis, tuple(places), length

    def forward(self, code: Tensor) -> Tensor:
        """[N, length, width], or [N, 1, width]."""
        if not self.places:
            return super().forward(code).unsqueeze(1)
        mapped = super().forward(code.reshape(-1, *self.shape).movedim(self.axis, -1)).movedim(-1, 1)          # (N, width, places above)
        here = F.interpolate(mapped, size=self.places, mode="nearest").flatten(2).transpose(1, 2)
        return here.repeat_interleave(self.length // here.shape[1], 1)


class ToldPrior(Prior):
    """A prior of samples of which something is known: what its network is `told`."""

    def __init__(self, prior: Any, told: Any) -> None:
        super().__init__(prior.shape)
        self._prior, self._told = (prior,), told                     # in a tuple it stays the latent's module

    def log_prob(self, codes: Tensor) -> Tensor:
        """[N]."""
        found: Tensor = self._prior[0].log_prob(codes, self._told)
        return found

    def surprise(self, codes: Tensor) -> Tensor:
        """[N]."""
        prior = self._prior[0]
        found: Tensor = -self.log_prob(codes) if type(prior).surprise is Prior.surprise else prior.surprise(codes, self._told)
        return found

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        found: Tensor = self._prior[0].draw(n, device, self._told)
        return found


def told_of(prior: Prior, above: CodeAbove | None, context: dict[str, Any]) -> Prior:
    """The prior of samples whose code above is known; the same one where it is told nothing."""
    return prior if above is None or ABOVE not in context else ToldPrior(prior, above(context[ABOVE]))


def with_told(x: Tensor, told: Tensor | None, above: CodeAbove | None, place: int | None = None) -> Tensor:
    """Features [N, L, width], or of one `place` [N, width], with what is `told` added; ValueError if nothing is, but should be."""
    if told is None:
        if above is not None:
            raise ValueError(UNTOLD)
        return x
    return x + told if place is None else x + told[:, min(place, told.shape[1] - 1)]
