"""Discrete codes: vectors become entries, entries have indices, a prior is a distribution of indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.codebook_updates import tally
from aebuild.modules.collectives import total
from aebuild.modules.latent import Latent
from aebuild.modules.priors import Prior, UniformIndices
from aebuild.modules.recording import recording


class DiscreteLatent(Latent):
    """A code whose vectors, [N, *shape] with D features on `axis`, are each replaced by one of `codes` entries.

    A quantizer is a subclass: it has `quantize` and `lookup`. There are P places; `width` indices stand for a sample. Without a `prior`
    all are equally likely.
    """

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, codes: int, groups: int = 1,
                 prior: Prior | None = None) -> None:
        features = shape[axis - 1 if axis > 0 else axis] // groups
        width = prod(shape) // features
        super().__init__(steps, UniformIndices(width, codes) if prior is None else prior)
        self.shape, self.axis, self.codes, self.groups = tuple(shape), axis, codes, groups
        self.features, self.width, self.places = features, width, width // groups
        self.books = 1

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Entries with the gradient of the vectors z [N, *shape], indices [N, width], and raw loss terms."""
        raise TypeError(f"{type(self).__name__} does not quantize")

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, width] to the codes they stand for, [N, *shape]."""
        raise TypeError(f"{type(self).__name__} has no entries")

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
        return indices.reshape(-1, self.books).t() if self.books > 1 else indices.reshape(1, -1)

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


def straight_through(value: Tensor, z: Tensor) -> Tensor:
    """The value, to the last bit, with the gradient of z; the customary z + (value − z) rounds."""
    return value.detach() + (z - z.detach())


def usage_of(counts: Tensor) -> dict[str, Tensor]:
    """Perplexity exp(entropy) and share of entries in use, from counts [B, K]; averaged over the books."""
    share = counts / counts.sum(1, keepdim=True)
    return {"perplexity": torch.special.entr(share).sum(1).exp().mean(), "usage": (counts > 0).to(counts.dtype).mean()}
