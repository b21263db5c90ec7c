"""Vector quantisation: each vector is replaced by the nearest entry of a codebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.codebook_updates import Ema, Restart, kmeans, tally
from aebuild.modules.collectives import gathered, of_first, shared, total
from aebuild.modules.discrete import DiscreteLatent, rotated, straight_through
from aebuild.modules.nearest_code import nearest
from aebuild.modules.priors import Prior
from aebuild.modules.recording import recording


class CodebookLatent(DiscreteLatent):
    """Vector quantisation with a straight-through gradient (van den Oord et al., 2017).

    The projected code, [N, *shape] with its D features on `axis`, is cut into P places × G `groups` of d = D / G features.
    `codebook` has `codes` entries: [K, d] for one book (one group, or `shared` by all), else [G, K, d]. Three things make a quantizer:
    how entries learn (`ema` makes them a buffer moved towards its vectors, `frozen` one that stays; else they are a parameter trained
    by the term `codebook`), how those that fell out of use come back (`restart`), and where they start (`initialise` draws them anew from
    the first training batch). With `cosine` vectors and entries have length one (Yu et al., 2021). `rotation` turns the gradient (Fifty
    et al., 2024). `orthogonal` adds a term that keeps entries at right angles (Shin et al., 2021). `expand` maps entries to the code.
    """

    codebook: Tensor
    initialised: Tensor

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, codes: int, groups: int = 1, *,
                 prior: Prior | None = None, shared: bool = False, ema: Ema | None = None, restart: Restart | None = None,
                 initialise: bool = False, levels: int = 1, frozen: bool = False, cosine: bool = False, rotation: bool = False,
                 orthogonal: bool = False, expand: nn.Module | None = None) -> None:
        super().__init__(steps, shape, axis, codes, groups, prior, levels=levels, shared=shared)
        self.each = self.places * self.groups // self.heads                          # vectors of a book in one sample
        book = torch.empty(codes, self.features) if self.books == 1 else torch.empty(self.books, codes, self.features)
        if ema is None and not frozen:
            self.codebook = nn.Parameter(book)
        else:
            self.register_buffer("codebook", book)
        self.trained = ema is None and not frozen
        self.cosine, self.rotation, self.orthogonal = cosine, rotation, orthogonal
        self.update, self.restart, self.expand = ema, restart, expand
        if initialise:
            self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))
        self._fresh = initialise
        self._unknown = False
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Standard normal entries; what was learned of their use is forgotten."""
        nn.init.normal_(self.codebook)
        for statistics in (self.update, self.restart):
            if statistics is not None:
                statistics.reset()
        if "initialised" in self._buffers:
            self.initialised.zero_()
            self._fresh, self._unknown = True, False

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._unknown = "initialised" in self._buffers

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Entries, indices [N, P·G], and the terms `commitment`, (trained by gradient) `codebook` and `orthogonal`."""
        z = self.normed(z)
        x, found = self.search(self.by_head(z.detach()))
        indices = self.per_sample(found)
        entries = self.joined(self.picked(indices))
        if not self.training and recording():
            return self.expanded(entries), indices, {}
        terms = {"commitment": _distance(z, entries.detach())}
        if self.trained:
            terms["codebook"] = _distance(entries, z.detach())
        if self.training:
            self.learn(x, found)
        if self.orthogonal:                          # behind restarts, which may not change what a gradient still needs
            terms["orthogonal"] = self.overlap()
        return self.expanded(self.carried(entries, z)), indices, terms

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, P·L·G] to the codes they stand for, [N, *shape]."""
        picked = self.picked(indices)
        return self.expanded(self.joined(picked.sum(1) if self.depth > 1 else picked))

    def normed(self, z: Tensor) -> Tensor:
        """Projected codes as the codebook compares them."""
        return self.joined(F.normalize(self.split(z), dim=-1)) if self.cosine else z

    def shaped(self, entries: Tensor) -> Tensor:
        """Stored entries [H, K, d] of the heads of a level as they are compared with vectors."""
        return F.normalize(entries, dim=-1) if self.cosine else entries

    def picked(self, indices: Tensor) -> Tensor:
        """The entries of indices, [N·P, L, G, d], with their gradient."""
        if self.books > 1:
            shift = self.codes * torch.arange(self.books, device=indices.device).view(self.depth, self.heads)
            indices = indices.view(-1, self.places, self.depth, self.groups) + shift
        entries = F.embedding(indices.flatten(1), self.codebook.view(-1, self.features))
        entries = entries.view(-1, self.depth, self.groups, self.features)
        return F.normalize(entries, dim=-1) if self.cosine else entries

    def carried(self, entries: Tensor, z: Tensor) -> Tensor:
        """The entries with the gradient of z."""
        return self.joined(rotated(self.split(entries), self.split(z))) if self.rotation else straight_through(entries, z)

    def expanded(self, entries: Tensor) -> Tensor:
        """Entries as the decoder gets them."""
        return entries if self.expand is None else self.expand(entries)

    def overlap(self) -> Tensor:
        """Mean squared cosine of two entries, |Ê Êᵀ − 1|² / K² (Shin et al., 2021), averaged over the books."""
        entries = F.normalize(self._stored(self.codebook), dim=-1)                   # (B, K, d)
        if entries.is_meta:                          # its products are of the codebook, not of a sample, whose cost is counted there
            return entries.new_zeros(())
        gram = entries.mT @ entries                                                  # (B, d, d): |E Eᵀ| = |Eᵀ E|, without K × K
        return (gram.square().sum((1, 2)).mean() - self.codes) / self.codes ** 2

    @torch.no_grad()
    def search(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [H, M, d] to the vectors that each book gets, [B, M, d], and the entries nearest to them, [B, M].

        A level gets what the entries of those before it leave of a vector. In the first training batch entries are placed.
        """
        fresh, given, found = self.training and self._is_fresh(x), [], []
        stored = self._stored(self.codebook.detach())
        for level in range(self.depth):
            book = stored[level * self.heads:(level + 1) * self.heads]
            if fresh:
                book.copy_(self._placed(x))
            entries = self.shaped(book)
            given.append(x)
            found.append(nearest(x, entries, self.features))
            if level + 1 < self.depth:
                x = x - entries.gather(1, found[-1].unsqueeze(2).expand(-1, -1, self.features))
        if fresh:
            self.initialised.fill_(True)
            self._fresh = False
        return (given[0], found[0]) if self.depth == 1 else (torch.cat(given), torch.cat(found))

    def by_head(self, z: Tensor) -> Tensor:
        """[N, *shape] as vectors of each head, [H, M, d]."""
        parts = self.split(z)                                                        # (N·P, G, d)
        return parts.transpose(0, 1).contiguous() if self.heads > 1 else parts.reshape(1, -1, self.features)

    def per_sample(self, found: Tensor) -> Tensor:
        """Indices [B, M] as [N, P·L·G]."""
        if self.books == 1:
            return found.view(-1, self.width)
        if self.heads == self.groups:
            return found.t().reshape(-1, self.width)
        return found.view(self.depth, -1, self.groups).transpose(0, 1).reshape(-1, self.width)

    @torch.no_grad()
    def learn(self, x: Tensor, found: Tensor, weights: Tensor | None = None) -> None:
        """Moves and restarts entries for vectors [B, M, d] that found theirs, which count as much as their weights [B, M]."""
        if self.update is None and self.restart is None:
            return
        entries, counts = self._stored(self.codebook.detach()), total(tally(found, self.codes, weights))
        if self.update is not None:
            self.update(entries, x if weights is None else x * weights.unsqueeze(2), found, counts)
        if self.restart is not None:
            dead = self.restart(entries, x, counts, self.each)
            if self.update is not None:
                self.update.forget(dead)

    def _stored(self, codebook: Tensor) -> Tensor:
        return codebook.view(self.books, self.codes, self.features)

    def _is_fresh(self, x: Tensor) -> bool:
        if self._unknown:                            # once after loading: asking the device every step would stall a GPU
            self._fresh, self._unknown = not bool(self.initialised), False
        return self._fresh and not x.is_meta

    def _placed(self, x: Tensor) -> Tensor:
        every = gathered(x.transpose(0, 1), self.each).transpose(0, 1) if shared() else x
        return of_first(kmeans(every, self.codes, self.rng(x.device), unit=self.cosine))


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(a, b, reduction="none").flatten(1).sum(1)
