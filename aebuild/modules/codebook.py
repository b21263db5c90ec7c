"""A discrete code: each vector is replaced by the nearest entry of a codebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.code import Code
from aebuild.modules.codebook_updates import Ema, Restart, kmeans, tally
from aebuild.modules.collectives import gathered, of_first, shared, total
from aebuild.modules.latent import Latent
from aebuild.modules.nearest_code import nearest
from aebuild.modules.recording import recording


class CodebookLatent(Latent):
    """Vector quantisation with a straight-through gradient (van den Oord et al., 2017).

    The projected code, [N, *shape] with its D features on `axis`, is cut into P places × G `groups` of d = D / G features.
    `codebook` has `codes` entries: [K, d] for one book (one group, or `shared` by all), else [G, K, d]. With `ema` it is a
    buffer moved towards its vectors, without it a parameter trained by the term `codebook`. `initialise` draws it anew from
    the first training batch; `restart` replaces entries that fell out of use.
    """

    codebook: Tensor
    initialised: Tensor

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, codes: int, groups: int = 1, *,
                 shared: bool = False, ema: Ema | None = None, restart: Restart | None = None, initialise: bool = False) -> None:
        super().__init__(steps)
        self.shape, self.axis = tuple(shape), axis
        self.codes, self.groups = codes, groups
        self.books = 1 if shared else groups
        self.features = self.shape[axis - 1 if axis > 0 else axis] // groups
        self.places = prod(self.shape) // self.features // groups
        self.each = self.places * groups // self.books                               # vectors of a book in one sample
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

    def forward(self, h: Tensor) -> Code:
        """Entries with the gradient of z_e, terms `commitment` and (trained by gradient) `codebook`, indices [N, P·G]."""
        z = self.project(h)
        x = self._split(z.detach())                                                  # (B, M, d)
        if self.training and self._is_fresh(x):
            self._initialise(x)
        found = nearest(x, self._entries(), self.features)                           # (B, M)
        indices = self._per_sample(found)
        entries = self.lookup(indices)
        if not self.training and recording():
            return Code(entries, indices=indices)
        terms = {"commitment": _distance(z, entries.detach())}
        if self.update is None:
            terms["codebook"] = _distance(entries, z.detach())
        counts = total(tally(found, self.codes))                                     # (B, K)
        if self.training:
            self._learn(x, found, counts)
        # adding an exact zero keeps the value an entry to the last bit, where the customary z + (q − z) rounds
        return Code(entries.detach() + (z - z.detach()), terms, usage_of(counts), indices)

    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, P·G] to the codes they stand for, [N, *shape]."""
        if self.books > 1:
            indices = indices.view(-1, self.places, self.groups) + self.codes * torch.arange(self.groups, device=indices.device)
        entries = F.embedding(indices.flatten(1), self.codebook.view(-1, self.features))       # (N, P·G, d)
        places_last = entries.view(-1, self.places, self.groups * self.features)        # (N, P, D)
        if self.axis == 1:
            places_last = places_last.transpose(1, 2).contiguous()
        return places_last.view(-1, *self.shape)

    def indices_of(self, z: Tensor) -> Tensor:
        """The nearest entries to codes [N, *shape], as indices [N, P·G]."""
        return self._per_sample(nearest(self._split(z.detach()), self._entries(), self.features))

    def draw(self, n: int) -> Tensor:
        """`n` codes, every entry equally likely everywhere."""
        size = (n, self.places * self.groups)
        return self.lookup(torch.randint(self.codes, size, generator=self.rng(self.device), device=self.device))

    def _entries(self) -> Tensor:
        return self.codebook.detach().view(self.books, self.codes, self.features)

    def _split(self, z: Tensor) -> Tensor:
        if self.axis == 1:
            z = z.flatten(2).transpose(1, 2) if z.ndim > 2 else z                    # (N, P, D)
        parts = z.reshape(-1, self.groups, self.features)                            # (N·P, G, d)
        return parts.transpose(0, 1).contiguous() if self.books > 1 else parts.view(1, -1, self.features)

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


class FittedCodebookLatent(CodebookLatent):
    """A codebook whose prior is how often each entry was used at each place and group, independently.

    `prior_frequencies`, [P·G, K], are uniform until `fit` sets them from the training codes.
    """

    prior_frequencies: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("prior_frequencies", torch.full((self.places * self.groups, self.codes), 1 / self.codes))

    def draw(self, n: int) -> Tensor:
        """`n` codes, each index from its own frequencies."""
        total = self.prior_frequencies.double().cumsum(1)
        total = total / total[:, -1:]
        chance = torch.rand(len(total), n, generator=self.rng(self.device), device=self.device, dtype=total.dtype)
        return self.lookup(torch.searchsorted(total, chance, right=True).t().contiguous())

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Counts the entries in quantised codes [N, *shape]."""
        counts = torch.zeros_like(self.prior_frequencies)
        for block in torch.split(codes, 4096):
            counts += tally(self.indices_of(block).t().contiguous(), self.codes)
        self.prior_frequencies.copy_(counts / len(codes))


def usage_of(counts: Tensor) -> dict[str, Tensor]:
    """Perplexity exp(entropy) and share of entries in use, from counts [B, K]; averaged over the books."""
    share = counts / counts.sum(1, keepdim=True)
    return {"perplexity": torch.special.entr(share).sum(1).exp().mean(), "usage": (counts > 0).to(counts.dtype).mean()}


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(a, b, reduction="none").flatten(1).sum(1)
