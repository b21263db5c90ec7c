"""Binary codes: each number of the code becomes its sign, and entropies see that all codes are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.collectives import averaged
from aebuild.modules.discrete import DiscreteLatent, straight_through
from aebuild.modules.priors import Prior
from aebuild.modules.recording import recording


class BinaryLatent(DiscreteLatent):
    """Signs of the numbers at each place (LFQ: Yu et al., 2023), of vectors of length one if `spherical` (BSQ: Zhao et al., 2024).

    A group of d features has 2^d codes, ±1 in each feature, spherical ±1/√d; the first feature is the highest bit of the index. The
    chances q(c|z) ∝ exp(−|z − c|² / temperature) of the codes have two terms: `sample_entropy`, the entropy of each vector's own,
    and `codebook_entropy`, what the entropy of their mean over the batch lacks of d ln 2.
    """

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, groups: int = 1, prior: Prior | None = None, *,
                 temperature: float = 1.0, spherical: bool = False) -> None:
        features = shape[axis - 1 if axis > 0 else axis] // groups
        super().__init__(steps, shape, axis, 2 ** features, groups, prior, shared=False)
        self.temperature, self.spherical = temperature, spherical
        self.scale = features ** -0.5 if spherical else 1.0

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Signs, indices [N, P·G], the two entropies, and (where lengths are free) `commitment`."""
        vectors = self.split(z)                                                      # (N·P, G, d)
        if self.spherical:
            vectors = F.normalize(vectors, dim=-1)
        positive = vectors.detach() > 0
        indices = (positive.long() << self._shifts(z)).sum(-1).view(-1, self.width)
        signs = torch.where(positive, self.scale, -self.scale).to(z.dtype)
        value = self.joined(straight_through(signs, vectors))
        if not self.training and recording():
            return value, indices, {}
        terms = entropies(4 * self.scale / self.temperature * vectors, self.places)
        found = {name: raw.reshape(-1, self.width) if raw.ndim else raw * self.places for name, raw in terms.items()}
        if not self.spherical:
            found["commitment"] = (vectors - signs).square().reshape(-1, self.width * self.features).sum(1)
        return value, indices, found

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, P·G] to their signs, [N, *shape]."""
        bits = indices.flatten().unsqueeze(1) >> self._shifts(indices) & 1                       # (N·P·G, d)
        return self.joined((2 * bits - 1) * self.scale)

    def _shifts(self, like: Tensor) -> Tensor:
        return torch.arange(self.features - 1, -1, -1, device=like.device)


def entropies(logits: Tensor, places: int = 1) -> dict[str, Tensor]:
    """Entropies in nats of codes of independent bits, whose logits of a one are [M, G, d], `places` rows a sample.

    `sample_entropy` [M, G] is that of each row; `codebook_entropy`, a scalar summed over the groups, what the entropy of the rows' mean
    lacks of d ln 2. The mean chance of 2^d codes is a product of two matrices of the chances of half of the bits each, [M, 2^(d/2)], so
    that rows × codes never exist.
    """
    rows, groups, d = logits.shape
    chance = logits.sigmoid()
    own = F.binary_cross_entropy_with_logits(logits, chance, reduction="none").sum(-1)
    by_group = chance.transpose(0, 1)                                                # (G, M, d)
    first, second = joint(by_group[..., :d // 2]), joint(by_group[..., d // 2:])     # (G, M, 2^(d/2)) each
    shares = averaged(first.mT @ second, rows, places)
    spread = torch.special.entr(shares.clamp(min=torch.finfo(shares.dtype).tiny)).sum()
    return {"sample_entropy": own, "codebook_entropy": groups * d * log(2) - spread}


def joint(chance: Tensor) -> Tensor:
    """Chances of every combination of independent bits, [..., d] to [..., 2^d]; the first bit is the highest."""
    found = chance.new_ones(*chance.shape[:-1], 1)
    for bit in chance.unsqueeze(-2).unbind(-1):                                      # (..., 1)
        found = torch.stack([found * (1 - bit), found * bit], -1).flatten(-2)
    return found
