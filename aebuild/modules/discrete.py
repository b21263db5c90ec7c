"""Discrete codes: vectors become entries, entries have indices, a prior is a distribution of indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.code import Code
from aebuild.modules.codebook_updates import tally
from aebuild.modules.collectives import total
from aebuild.modules.latent import Latent
from aebuild.modules.priors import Prior, UniformIndices
from aebuild.modules.recording import recording

TINY = 1e-12         # lengths below count as this


class IndexedLatent(Latent):
    """A latent whose codes have indices, [N, width], of which its prior is a distribution."""

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, width] to the codes they stand for, [N, *shape]."""
        raise TypeError(f"{type(self).__name__} has no entries")

    def draw(self, n: int, context: dict[str, Any] | None = None) -> Tensor:
        """`n` codes whose indices are drawn from the prior."""
        return self.lookup(super().draw(n, context))

    def codes_of(self, code: Code) -> Tensor:
        """Indices."""
        assert code.indices is not None
        return code.indices

    def code_from(self, codes: Tensor) -> Code:
        """The entries of indices."""
        return Code(self.lookup(codes), indices=codes)


class DiscreteLatent(IndexedLatent):
    """A code whose vectors, [N, *shape] with D features on `axis`, are each replaced by one of `codes` entries.

    A quantizer is a subclass: it has `quantize` and `lookup`. There are P places, at each of them L `levels` × G `groups` with an index
    for each, the groups fastest: `width` indices stand for a sample. Those of `books` codebooks are counted apart, of all groups of a
    level together where they are `shared`. Without a `prior` all indices are equally likely.
    """

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, codes: int, groups: int = 1,
                 prior: Prior | None = None, *, levels: int = 1, shared: bool = True) -> None:
        features = shape[axis - 1 if axis > 0 else axis] // groups
        places = prod(shape) // (features * groups)
        width = places * groups * levels
        super().__init__(steps, UniformIndices(width, codes) if prior is None else prior)
        self.shape, self.axis, self.codes, self.groups, self.depth = tuple(shape), axis, codes, groups, levels
        self.features, self.width, self.places = features, width, places
        self.heads = 1 if shared else groups                                         # books of a level
        self.books = levels * self.heads

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Entries with the gradient of the vectors z [N, *shape], indices [N, width], and raw loss terms."""
        raise TypeError(f"{type(self).__name__} does not quantize")

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """Entries, their indices, the quantizer's terms, and how the entries are used in the batch."""
        value, indices, terms = self.quantize(self.project(h, context))
        if not self.training and recording():
            return Code(value, indices=indices)
        return Code(value, terms, usage_of(total(tally(self.by_book(indices), self.codes))), indices)

    @property
    def book_sizes(self) -> list[int]:
        """Entries of each book."""
        return [self.codes] * self.books

    def by_book(self, indices: Tensor) -> Tensor:
        """Indices [N, width] as [books, indices of the book]."""
        if self.books == 1:
            return indices.reshape(1, -1)
        if self.heads == self.groups:
            return indices.reshape(-1, self.books).t()
        return indices.reshape(-1, self.depth, self.groups).transpose(0, 1).flatten(1)

    def split(self, z: Tensor) -> Tensor:
        """[N, *shape] as vectors of each place and group, [N·P, G, d]."""
        if self.axis == 1 and z.ndim > 2:
            z = z.flatten(2).transpose(1, 2)                                         # (N, P, D)
        return z.reshape(-1, self.groups, z.shape[-1] // self.groups)

    def joined(self, vectors: Tensor) -> Tensor:
        """[N·P, G, d] as [N, *shape]."""
        places_last = vectors.reshape(-1, self.places, self.groups * self.features)  # (N, P, D)
        if self.axis == 1:
            places_last = places_last.transpose(1, 2).contiguous()
        return places_last.view(-1, *self.shape)


def straight_through(value: Tensor, z: Tensor) -> Tensor:
    """The value, to the last bit, with the gradient of z; the customary z + (value − z) rounds."""
    return value.detach() + (z - z.detach())


def rotated(value: Tensor, z: Tensor) -> Tensor:
    """The value, to the last bit, with the gradient of z turned and stretched as z is to become the value (Fifty et al., 2024).

    Both are vectors [..., d]; R z · |value| / |z| with the rotation R in the plane of the two, both factors held fixed.
    """
    with torch.no_grad():
        length = z.norm(dim=-1, keepdim=True).clamp(min=TINY)
        stretch = value.norm(dim=-1, keepdim=True) / length
        start, end = z / length, F.normalize(value, dim=-1, eps=TINY)
        middle = F.normalize(start + end, dim=-1, eps=TINY)
    turned = z - 2 * (z * middle).sum(-1, keepdim=True) * middle + 2 * (z * start).sum(-1, keepdim=True) * end
    return straight_through(value, stretch * turned)


def usage_of(counts: Tensor) -> dict[str, Tensor]:
    """Perplexity exp(entropy) and share of entries in use, from counts [B, K]; averaged over the books."""
    share = counts / counts.sum(1, keepdim=True)
    return {"perplexity": torch.special.entr(share).sum(1).exp().mean(), "usage": (counts > 0).to(counts.dtype).mean()}
