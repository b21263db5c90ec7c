"""Vector quantisation: each vector is replaced by the nearest entry of a codebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.codebook_updates import Ema, Restart, kmeans, tally
from aebuild.modules.collectives import gathered, of_first, shared, total
from aebuild.modules.discrete import DiscreteLatent, straight_through
from aebuild.modules.nearest_code import nearest
from aebuild.modules.priors import Prior
from aebuild.modules.recording import recording


class CodebookLatent(DiscreteLatent):
    """Vector quantisation with a straight-through gradient (van den Oord et al., 2017).

    The projected code, [N, *shape] with its D features on `axis`, is cut into P places × G `groups` of d = D / G features.
    `codebook` has `codes` entries: [K, d] for one book (one group, or `shared` by all), else [G, K, d]. Four things make a quantizer:
    how entries are found (`find`), how they learn (`ema` makes them a buffer moved towards its vectors; without it they are a
    parameter trained by the term `codebook`), how those that fell out of use come back (`restart`), and where they start
    (`initialise` draws them anew from the first training batch).
    """

    codebook: Tensor
    initialised: Tensor

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, codes: int, groups: int = 1, *,
                 prior: Prior | None = None, shared: bool = False, ema: Ema | None = None, restart: Restart | None = None,
                 initialise: bool = False) -> None:
        super().__init__(steps, shape, axis, codes, groups, prior)
        self.books = 1 if shared else groups
        self.each = self.width // self.books                                         # vectors of a book in one sample
        book = torch.empty(codes, self.features) if self.books == 1 else torch.empty(groups, codes, self.features)
        if ema is None:
            self.codebook = nn.Parameter(book)
        else:
            self.register_buffer("codebook", book)
        self.update, self.restart = ema, restart
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
        """Entries, indices [N, P·G], and the terms `commitment` and (trained by gradient) `codebook`."""
        x = self._split(z.detach())                                                  # (B, M, d)
        if self.training and self._is_fresh(x):
            self._initialise(x)
        found = self.find(x)                                                         # (B, M)
        indices = self._per_sample(found)
        entries = self.lookup(indices)
        if not self.training and recording():
            return entries, indices, {}
        terms = {"commitment": _distance(z, entries.detach())}
        if self.update is None:
            terms["codebook"] = _distance(entries, z.detach())
        if self.training:
            self._learn(x, found, total(tally(found, self.codes)))
        return straight_through(entries, z), indices, terms

    def find(self, x: Tensor) -> Tensor:
        """The nearest entries to vectors [B, M, d], as indices [B, M]."""
        return nearest(x, self._entries(), self.features)

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, P·G] to the codes they stand for, [N, *shape]."""
        if self.books > 1:
            indices = indices.view(-1, self.places, self.groups) + self.codes * torch.arange(self.groups, device=indices.device)
        entries = F.embedding(indices.flatten(1), self.codebook.view(-1, self.features))       # (N, P·G, d)
        places_last = entries.view(-1, self.places, self.groups * self.features)        # (N, P, D)
        if self.axis == 1:
            places_last = places_last.transpose(1, 2).contiguous()
        return places_last.view(-1, *self.shape)

    def _entries(self) -> Tensor:
        return self.codebook.detach().view(self.books, self.codes, self.features)

    def _split(self, z: Tensor) -> Tensor:
        if self.axis == 1:
            z = z.flatten(2).transpose(1, 2) if z.ndim > 2 else z                    # (N, P, D)
        parts = z.reshape(-1, self.groups, self.features)                            # (N·P, G, d)
        return parts.transpose(0, 1).contiguous() if self.books > 1 else parts.reshape(1, -1, self.features)

    def _per_sample(self, found: Tensor) -> Tensor:
        width = self.places * self.groups
        return found.t().reshape(-1, width) if self.books > 1 else found.view(-1, width)

    def _is_fresh(self, x: Tensor) -> bool:
        if self._unknown:                            # once after loading: asking the device every step would stall a GPU
            self._fresh, self._unknown = not bool(self.initialised), False
        return self._fresh and not x.is_meta

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        every = gathered(x.transpose(0, 1), self.each).transpose(0, 1) if shared() else x
        self._entries().copy_(of_first(kmeans(every, self.codes, self.rng(x.device))))
        self.initialised.fill_(True)
        self._fresh = False

    @torch.no_grad()
    def _learn(self, x: Tensor, found: Tensor, counts: Tensor) -> None:
        entries = self._entries()
        if self.update is not None:
            self.update(entries, x, found, counts)
        if self.restart is not None:
            dead = self.restart(entries, x, counts, self.each)
            if self.update is not None:
                self.update.forget(dead)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(a, b, reduction="none").flatten(1).sum(1)
