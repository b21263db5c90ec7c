"""Residual quantisation: codebooks one after the other, each for what those before it leave."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aebuild.modules.codebook import CodebookLatent
from aebuild.modules.recording import recording


class ResidualLatent(CodebookLatent):
    """A vector as a sum of entries, one of each of L `levels` (Zeghidour et al., 2021).

    Indices of a sample are [N, P·L·G]: at each place the levels in their order, of each its groups. In training a share `dropout` of
    the samples keep only the first levels, a number drawn evenly from 1 to L; the others neither count nor learn of them.
    """

    def __init__(self, *args: Any, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dropout = dropout

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Sums of entries, indices, and the terms of `CodebookLatent`, summed over the levels."""
        x, found = self.search(self.by_head(z.detach()))
        indices = self.per_sample(found)
        picked = self.picked(indices)                                                # (N·P, L, G, d)
        if not self.training and recording():
            return self.expanded(self.joined(picked.sum(1))), indices, {}
        kept = self._kept(len(z), z)                                                 # (N, L)
        if kept is not None:
            picked = picked * kept.repeat_interleave(self.places, 0)[:, :, None, None]
        entries = self.joined(picked.sum(1))
        terms = self._terms(self.split(z), picked, kept)
        if self.training:
            weights = None if kept is None else kept.repeat_interleave(self.each, 0).t().repeat_interleave(self.heads, 0)
            self.learn(x, found, weights)
        if self.orthogonal:
            terms["orthogonal"] = self.overlap()
        return self.expanded(self.carried(entries, z)), indices, terms

    def _terms(self, vectors: Tensor, picked: Tensor, kept: Tensor | None) -> dict[str, Tensor]:
        fixed = picked.detach()
        reached = fixed.cumsum(1)
        terms = {"commitment": self._summed((vectors.unsqueeze(1) - reached).square(), kept)}
        if self.trained:
            left = vectors.detach().unsqueeze(1) - (reached - fixed)
            terms["codebook"] = self._summed((picked - left).square(), kept)
        return terms

    def _summed(self, squares: Tensor, kept: Tensor | None) -> Tensor:
        by_level = squares.sum((2, 3)).reshape(-1, self.places, self.depth).sum(1)     # (N, L)
        return (by_level if kept is None else by_level * kept).sum(1)

    def _kept(self, samples: int, like: Tensor) -> Tensor | None:
        """Which levels count for which sample, [N, L] of zeros and ones; None where all do."""
        if not self.training or not self.dropout:
            return None
        chance = self.drawn(torch.rand, (samples, 2), like.device)
        first = torch.where(chance[:, 0] < self.dropout, (chance[:, 1] * self.depth).floor() + 1, self.depth)
        return (torch.arange(self.depth, device=like.device) < first.unsqueeze(1)).to(like.dtype)
