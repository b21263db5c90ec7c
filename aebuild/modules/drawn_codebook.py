"""Residual codebooks whose entries are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.discrete import DiscreteLatent
from aebuild.modules.priors import Prior
from aebuild.modules.recording import recording
from aebuild.modules.relaxed import SMALLEST_CHANCE, through
from aebuild.modules.residual_codebook import kept_levels


class DrawnResidualLatent(DiscreteLatent):
    """A vector as a sum of entries, one of each of L `levels`, each drawn by what is left of the vector (Hosking et al., 2022).

    `codebook` is [L, K, d]; entries of level l begin as N(0, decay^2l). Indices of a sample are [N, P·L], at each place the levels in
    their order. In training a share `dropout` of the samples keep only the first levels, a number drawn evenly from 1 to L.
    """

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, codes: int, *, levels: int,
                 prior: Prior | None = None, decay: float = 0.5, dropout: float = 0.0, variance: float = 1.0, temperature: float = 1.0,
                 hard: bool = True) -> None:
        super().__init__(steps, shape, axis, codes, prior=prior, levels=levels)
        self.decay, self.dropout, self.variance, self.temperature, self.hard = decay, dropout, variance, temperature, hard
        self.codebook = nn.Parameter(torch.empty(levels, codes, self.features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal entries, smaller from level to level."""
        nn.init.normal_(self.codebook)
        with torch.no_grad():
            self.codebook.mul_((self.decay ** torch.arange(self.depth)).view(-1, 1, 1))

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Sums of entries, their indices, and the KL of the choices to entries all alike, [N, P·L] in nats."""
        left = self.split(z)[:, 0]                                                   # (N·P, d)
        noise, kept = self._noise(z), self._kept(z)
        total, indices, nats = torch.zeros_like(left), [], []
        for level in range(self.depth):
            chances = self.log_chances(left, level)
            choice = self._choice(chances, None if noise is None else noise[:, level])
            entry = choice @ self.codebook[level]
            weight = 1.0 if kept is None else kept[:, level, None]
            total, left = total + weight * entry, left - entry
            indices.append(choice.argmax(-1))
            nats.append(weight * ((chances.exp() * chances).sum(-1, keepdim=True) + math.log(self.codes)))
        found, value = self._per_sample(indices), self.joined(total.unsqueeze(1))
        if not self.training and recording():
            return value, found, {}
        return value, found, {"kl": self._per_sample([each.squeeze(1) for each in nats])}

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, P·L] to the sums of their entries, [N, *shape]."""
        by_level = indices.reshape(-1, self.depth)
        picked = [F.embedding(by_level[:, level], self.codebook[level]) for level in range(self.depth)]
        return self.joined(torch.stack(picked).sum(0).unsqueeze(1))

    def log_chances(self, left: Tensor, level: int) -> Tensor:
        """Of the entries of a level for vectors [M, d], [M, K]: −|left − entry|² / variance, less what all have in common."""
        book = self.codebook[level]
        return ((2 * left @ book.mT - book.square().sum(-1)) / self.variance).log_softmax(-1)

    def _choice(self, chances: Tensor, noise: Tensor | None) -> Tensor:
        """[M, K]: the likeliest entries, or with noise those that it makes the largest, and their relaxed gradient."""
        lifted = chances if noise is None else chances + noise
        exact = F.one_hot(lifted.argmax(-1), self.codes).to(chances.dtype)
        return exact if noise is None else through(exact, (lifted / self.temperature).softmax(-1), self.hard)

    def _noise(self, z: Tensor) -> Tensor | None:
        """Gumbel numbers [N·P, L, K] in training."""
        if not self.training:
            return None
        chance = self.drawn(torch.rand, (len(z), self.places, self.depth, self.codes), z.device, dtype=z.dtype)
        return -(-chance.clamp(SMALLEST_CHANCE, 1 - SMALLEST_CHANCE).log()).log().flatten(0, 1)

    def _kept(self, z: Tensor) -> Tensor | None:
        """Which levels count for which vector, [N·P, L] of zeros and ones; None where all do."""
        if not self.training or not self.dropout:
            return None
        chance = self.drawn(torch.rand, (len(z), 2), z.device)
        return kept_levels(chance, self.dropout, self.depth).to(z.dtype).repeat_interleave(self.places, 0)

    def _per_sample(self, levels: list[Tensor]) -> Tensor:
        """One [N·P] of each level as [N, P·L]."""
        return torch.stack(levels, 1).view(-1, self.width)
