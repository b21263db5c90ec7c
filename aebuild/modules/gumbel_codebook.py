"""Residual codebooks whose entries are drawn while training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.recording import recording
from aebuild.modules.relaxed import SMALLEST_CHANCE
from aebuild.modules.residual_codebook import ResidualLatent


class GumbelLatent(ResidualLatent):
    """A sum of entries, each drawn by how near it is to what those before leave (Hosking et al., 2022).

    Entry e of a level has the chance softmax(−|x − e|²). In training the sum is of relaxed draws at `temperature` (Jang et al., 2017),
    through which encoder and entries learn; in evaluation of the most probable entries. Those of level l begin with deviation `decay`ˡ.
    """

    def __init__(self, *args: Any, temperature: float, decay: float, **options: Any) -> None:
        self.decay = decay
        super().__init__(*args, **options)
        self.temperature = temperature

    def reset_parameters(self) -> None:
        """Normal entries, smaller from level to level."""
        nn.init.normal_(self.codebook)
        scale = self.decay ** torch.arange(self.depth, device=self.codebook.device).repeat_interleave(self.heads)
        with torch.no_grad():
            self._stored(self.codebook).mul_(scale.view(-1, 1, 1))

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Sums of entries, indices, and `choice_kl`, the nats that the chances lack of all entries alike, [N], over places and levels."""
        x, stored = self.by_head(z), self._stored(self.codebook)
        noise = self._gumbel(z) if self.training else None
        found, picked, nats = [], [], []
        for level in range(self.depth):
            book = stored[level * self.heads:(level + 1) * self.heads]                                       # (H, K, d)
            logits = 2 * x @ book.mT - book.square().sum(2).unsqueeze(1)                                     # (H, M, K), less |x|²
            lifted = logits if noise is None else logits + noise[level]
            found.append(lifted.argmax(2))
            if noise is None:
                entry = book.gather(1, found[-1].unsqueeze(2).expand(-1, -1, self.features))
            else:
                entry = (lifted / self.temperature).softmax(2) @ book
            picked.append(entry)
            log_chance = logits.log_softmax(2)
            nats.append((log_chance.exp() * log_chance).sum(2) + math.log(self.codes))
            x = x - entry
        indices, sums = self.per_sample(torch.cat(found)), self._by_place(torch.stack(picked))               # (N·P, L, G, d)
        if not self.training and recording():
            return self.joined(sums.sum(1)), indices, {}
        kept = self._kept(len(z), z)                                                                         # (N, L)
        if kept is not None:
            sums = sums * kept.repeat_interleave(self.places, 0)[:, :, None, None]
        term = self._summed(self._by_place(torch.stack(nats).unsqueeze(3)), kept)
        return self.joined(sums.sum(1)), indices, {"choice_kl": term}

    def _by_place(self, found: Tensor) -> Tensor:
        """Of each level and head, [L, H, M, d], as [N·P, L, G, d]."""
        by_group = found.transpose(1, 2) if self.heads > 1 else found.reshape(self.depth, -1, self.groups, found.shape[-1])
        return by_group.transpose(0, 1)

    def _gumbel(self, z: Tensor) -> Tensor:
        """Gumbel noise of each level, [L, H, M, K], drawn sample by sample."""
        shape = (len(z), self.depth, self.places, self.groups, self.codes)
        chance = self.drawn(torch.rand, shape, z.device, dtype=z.dtype).clamp(SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)
        by_level = -(-chance.log()).log().transpose(0, 1).flatten(1, 2)                                      # (L, N·P, G, K)
        return by_level.transpose(1, 2) if self.heads > 1 else by_level.flatten(1, 2).unsqueeze(1)
