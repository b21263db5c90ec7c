"""Finite scalar quantisation: each number of the code is rounded to one of a few levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn

from aebuild.modules.discrete import DiscreteLatent, straight_through
from aebuild.modules.priors import Prior

LEVEL_EDGE = 1e-3          # the outermost levels are this share narrower, so that tanh reaches no border


class FsqLatent(DiscreteLatent):
    """Numbers squeezed by tanh and rounded (Mentzer et al., 2023).

    Each group of the features at a place has one feature for each of `levels`; their product is the number of codes. Values are in
    [−1, 1]. The index counts the first feature fastest.
    """

    sizes: Tensor
    basis: Tensor

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, levels: Sequence[int], groups: int = 1,
                 prior: Prior | None = None) -> None:
        super().__init__(steps, shape, axis, prod(levels), groups, prior, shared=False)
        self.register_buffer("sizes", torch.tensor(levels), persistent=False)
        self.register_buffer("basis", torch.tensor([prod(levels[:i]) for i in range(len(levels))]), persistent=False)

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Levels, indices [N, P·G], and no terms."""
        half = (self.sizes - 1) * (1 - LEVEL_EDGE) / 2
        offset = torch.where(self.sizes % 2 == 0, 0.5, 0.0)
        bounded = (self.split(z) + (offset / half).atanh()).tanh() * half - offset               # (N·P, G, d)
        rounded, middle = bounded.round(), self.sizes // 2
        indices = ((rounded.detach().long() + middle) * self.basis).sum(-1).view(-1, self.width)
        return self.joined(straight_through(rounded / middle, bounded / middle)), indices, {}

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, P·G] to their levels, [N, *shape]."""
        digits = indices.flatten().unsqueeze(1) // self.basis % self.sizes                       # (N·P·G, d)
        middle = self.sizes // 2
        return self.joined((digits - middle) / middle)
